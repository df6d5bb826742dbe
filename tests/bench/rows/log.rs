//! Invalidate over NATS: LOG beside a bare append, FLEET beside LOG, and how
//! long another pod takes to apply it.

use crate::nats::BareLog;
use crate::processes::Running;
use crate::samples::Samples;
use crate::table::Row;
use crate::{ROUNDS, Result, calls, processes};
use std::time::Instant;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{Ack, WatchRequest, watch_response};

/// Calls of each kind in one round.
const CALLS: usize = 300;
/// The largest fleet.
const PODS: usize = 3;

/// LOG with one pod; FLEET with each number of pods; publish to apply.
pub(crate) async fn rows(sidecar: &str, nats: &str) -> Result<Vec<Row>> {
    let nats = processes::nats(nats)?;
    let mut bare = BareLog::open(nats.port).await?;
    let echo = processes::echo()?;
    let echo = echo.connected().await?;
    let mut pods = Vec::new();
    let mut rows = Vec::new();
    for count in 1..=PODS {
        pods.push(pod(sidecar, nats.port)?);
        let channels = fleet(&pods).await?;
        if count == 1 {
            rows.push(log(&channels[0], &echo, &mut bare).await?);
        }
        rows.push(fleet_beside_log(&channels).await?);
    }
    let channels = fleet(&pods).await?;
    rows.push(publish_to_apply(&channels[0], &channels[1]).await?);
    Ok(rows)
}

fn pod(sidecar: &str, nats: u16) -> Result<Running> {
    let url = format!("nats://127.0.0.1:{nats}");
    processes::sidecar(sidecar, &["--nats", &url, "--fleet", "bench"])
}

/// Channels to all pods, when each knows each.
async fn fleet(pods: &[Running]) -> Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for pod in pods {
        channels.push(pod.in_fleet_of(pods.len()).await?);
    }
    Ok(channels)
}

async fn log(pod: &Channel, echo: &Channel, bare: &mut BareLog) -> Result<Row> {
    let (mut measured, mut reference) = (Samples::default(), Samples::default());
    for round in 0..=ROUNDS {
        if round == 1 {
            (measured, reference) = (Samples::default(), Samples::default());
        }
        for _ in 0..CALLS {
            let begin = Instant::now();
            calls::echo(echo).await?;
            bare.append().await?;
            reference.add(begin);
        }
        invalidate(pod, Ack::Log, 0, &mut measured).await?;
    }
    let reference = ("bare echo + bare append and its echo", &reference);
    Ok(Row::latency("Invalidate LOG, 1 pod", &measured, reference).goal("≤ 1.5"))
}

async fn fleet_beside_log(channels: &[Channel]) -> Result<Row> {
    let pods = channels.len();
    let (mut measured, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        invalidate(&channels[0], Ack::Log, 0, &mut reference).await?;
        invalidate(&channels[0], Ack::Fleet, pods, &mut measured).await?;
    }
    let name = format!("Invalidate FLEET, {pods} pods").replace("1 pods", "1 pod");
    Ok(Row::latency(&name, &measured, ("LOG", &reference)))
}

async fn invalidate(pod: &Channel, ack: Ack, acked: usize, samples: &mut Samples) -> Result<()> {
    for _ in 0..CALLS {
        let begin = Instant::now();
        let by = calls::invalidate(pod, ack).await?;
        samples.add(begin);
        if by != acked {
            return Err(format!("{by} sessions acked, not {acked}").into());
        }
    }
    Ok(())
}

async fn publish_to_apply(publisher: &Channel, other: &Channel) -> Result<Row> {
    let mut client = CacheServiceClient::new(other.clone());
    let mut events = client.watch(WatchRequest::default()).await?.into_inner();
    events.message().await?.ok_or("the watch ended")?;
    let mut samples = Samples::default();
    for _ in 0..ROUNDS * CALLS {
        let begin = Instant::now();
        let publish = calls::invalidate(publisher, Ack::Log);
        let apply = async {
            while let Some(event) = events.message().await? {
                if matches!(event.event, Some(watch_response::Event::Invalidation(_))) {
                    samples.add(begin);
                    return Ok(());
                }
            }
            Err(Box::<dyn std::error::Error>::from("the watch ended"))
        };
        tokio::try_join!(publish, apply)?;
    }
    let name = "Invalidate on one pod to its event at a watcher of another, 3 pods";
    Ok(Row::alone(name, samples.show()))
}
