//! What `depends_on` saves: pages that are made of users, who change.
//!
//! Two sidecars get the same reads and changes; in one a page depends on its users,
//! in the other every change has to end all pages, as their keys do not tell of
//! whom they are made. Counted, not timed.

use super::pages::{Pages, USERS};
use crate::rows::Own;
use crate::{Result, calls};
use std::fmt::Write as _;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{self, InvalidateRequest, get_response, set_request, set_response};

/// Reads, and how many of them come between two changes of a user.
const READS: usize = 20_000;
const BETWEEN: usize = 100;

/// How pages fall when a user changes.
#[derive(Clone, Copy)]
enum How {
    DependsOn,
    Prefix,
}

#[derive(Default)]
struct Outcome {
    loads: u64,
    /// Pages that were read with the version of a user that is no more.
    stale: u64,
}

/// The table.
pub(super) async fn table(sidecar: &str) -> Result<String> {
    let mut table = String::from(
        "| a user's change ends | origin loads | of the least | stale reads |\n| --- | --- | --- | --- |\n",
    );
    let least = Pages::new().least(READS, BETWEEN);
    for (name, how) in [
        ("the pages made of the user (`depends_on`)", How::DependsOn),
        ("all pages (a prefix)", How::Prefix),
    ] {
        let own = Own::alone(sidecar, &[]).await?;
        let Outcome { loads, stale } = run(&own.uds, how).await?;
        let ratio = loads as f64 / least as f64;
        writeln!(table, "| {name} | {loads} | {ratio:.2} × | {stale} |")?;
    }
    writeln!(
        table,
        "| the least that can be: pages that have changed since they were loaded | {least} | 1 × | 0 |"
    )?;
    Ok(table)
}

async fn run(channel: &Channel, how: How) -> Result<Outcome> {
    let (mut pages, mut outcome) = (Pages::new(), Outcome::default());
    for user in 0..USERS {
        calls::set_of(channel, Pages::user(user), calls::value(8)).await?;
    }
    for read in 0..READS {
        if read % BETWEEN == BETWEEN - 1 {
            let user = pages.change();
            ended(channel, how, user).await?;
        }
        let page = pages.next();
        match cached(channel, page).await? {
            Some(held) => outcome.stale += u64::from(held != pages.content(page)),
            None => {
                outcome.loads += 1;
                load(channel, how, &pages, page).await?;
            }
        }
    }
    Ok(outcome)
}

async fn ended(channel: &Channel, how: How, user: usize) -> Result<()> {
    let mut request = InvalidateRequest::default();
    match how {
        How::DependsOn => request.keys.push(Pages::user(user)),
        How::Prefix => request.prefixes.push(Pages::PREFIX.into()),
    }
    let mut client = CacheServiceClient::new(channel.clone());
    client.invalidate(request).await?;
    Ok(())
}

async fn cached(channel: &Channel, page: usize) -> Result<Option<Vec<u8>>> {
    let request = v1::GetRequest {
        key: Pages::page(page),
        ..v1::GetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone()).get(request).await;
    match answer?.into_inner().result {
        Some(get_response::Result::Found(v1::Entry {
            value: Some(v1::entry::Value::Data(data)),
            ..
        })) => Ok(Some(data.to_vec())),
        Some(get_response::Result::Missing(_)) => Ok(None),
        other => Err(format!("neither found nor missing: {other:?}").into()),
    }
}

async fn load(channel: &Channel, how: How, pages: &Pages, page: usize) -> Result<()> {
    let on = pages.made_of(page).map(|user| v1::Dependency {
        key: Pages::user(user),
        version: String::new(),
    });
    let request = v1::SetRequest {
        key: Pages::page(page),
        value: Some(set_request::Value::Data(pages.content(page).into())),
        depends_on: match how {
            How::DependsOn => on.to_vec(),
            How::Prefix => Vec::new(),
        },
        ..v1::SetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone()).set(request).await;
    match answer?.into_inner().result {
        Some(set_response::Result::Stored(_)) => Ok(()),
        other => Err(format!("not stored: {other:?}").into()),
    }
}
