//! The entry that is hit, and the calls that hit it.

use crate::{Result, calls};
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{self, lease_response, retain_response, set_request, set_response};

/// How [`calls::KEY`] is held.
pub(super) enum Held {
    /// As a load left it.
    Loaded,
    /// The same with tags.
    Tagged,
    /// The same, made of other keys.
    Derived,
    /// The same, while another key is referred to.
    BesideRetained,
    /// The same, referred to itself.
    Retained,
}

/// A call that must be a hit.
pub(super) enum Call {
    Get,
    Lease,
}

const OTHERS: [&str; 4] = ["user/1", "user/2", "user/3", "user/4"];

impl Held {
    pub(super) async fn put(&self, channel: &Channel) -> Result<()> {
        match self {
            Self::Loaded => loaded(channel).await,
            Self::Tagged => {
                let tags = OTHERS.map(str::to_owned).to_vec();
                set(channel, tags, Vec::new()).await
            }
            Self::Derived => {
                for key in OTHERS {
                    calls::set_of(channel, key.into(), calls::value(8)).await?;
                }
                let on = OTHERS.map(|key| v1::Dependency {
                    key: key.into(),
                    version: String::new(),
                });
                set(channel, Vec::new(), on.to_vec()).await
            }
            Self::BesideRetained => {
                calls::set_of(channel, OTHERS[0].into(), calls::value(8)).await?;
                retain(channel, OTHERS[0]).await?;
                loaded(channel).await
            }
            Self::Retained => {
                loaded(channel).await?;
                retain(channel, calls::KEY).await
            }
        }
    }
}

impl Call {
    pub(super) async fn made(&self, channel: &Channel) -> Result<()> {
        match self {
            Self::Get => calls::get(channel).await,
            Self::Lease => lease(channel).await,
        }
    }
}

async fn loaded(channel: &Channel) -> Result<()> {
    calls::loaded(channel, calls::KEY.into(), calls::value(calls::VALUE_BYTES)).await
}

async fn set(channel: &Channel, tags: Vec<String>, on: Vec<v1::Dependency>) -> Result<()> {
    let request = v1::SetRequest {
        key: calls::KEY.into(),
        value: Some(set_request::Value::Data(calls::value(calls::VALUE_BYTES))),
        tags,
        depends_on: on,
        ..v1::SetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone()).set(request).await;
    match answer?.into_inner().result {
        Some(set_response::Result::Stored(_)) => Ok(()),
        other => Err(format!("not stored: {other:?}").into()),
    }
}

pub(super) async fn retain(channel: &Channel, key: &str) -> Result<()> {
    let request = v1::RetainRequest {
        key: key.into(),
        owner: "bench".into(),
        term: Some(prost_types::Duration {
            seconds: 3600,
            nanos: 0,
        }),
        ..v1::RetainRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .retain(request)
        .await;
    match answer?.into_inner().here {
        Some(retain_response::Here::Pinned(_)) => Ok(()),
        other => Err(format!("not pinned: {other:?}").into()),
    }
}

async fn lease(channel: &Channel) -> Result<()> {
    let request = v1::LeaseRequest {
        key: calls::KEY.into(),
        ..v1::LeaseRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .lease(request)
        .await;
    match answer?.into_inner().result {
        Some(lease_response::Result::Hit(_)) => Ok(()),
        other => Err(format!("not a hit: {other:?}").into()),
    }
}
