//! How long after it was asked for another pod has applied an invalidation, beside
//! how long NATS takes from publish to deliver.

use super::arrivals::Arrivals;
use super::nats::{BareLog, Core};
use super::reads::IN_FLIGHT;
use crate::contender::{Contender, Length};
use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::processes::{self, Running};
use crate::rounds::compared_for;
use crate::{Result, calls};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{Ack, WatchRequest, watch_response};

const ROW: &str = "Publish to apply";
/// Long enough for ten calls above a p99.9.
const ROUND: Length = Length::Time(Duration::from_millis(700));
/// Of the fleet.
const PODS: usize = 3;
const WORDS: &str = "From the call of Invalidate on one pod until a watcher of another has its event, and the call \
its answer: a trip to the one, the append, the other's reading and applying it, and a trip from there. Core NATS delivers 96 bytes from one connection \
to another; JetStream appends them first. Processor time and memory are those of all three pods, or of the echo, with the NATS \
server's.";

/// Rounds of each, in turns.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let nats = processes::nats(nats)?;
    let echo = processes::echo()?;
    let channel = echo.connected().await?;
    let bare = Arc::new(BareLog::open(nats.port).await?);
    let pods = super::log::pods(sidecar, nats.port, PODS)?;
    let channels = super::log::fleet(&pods).await?;
    let mut servers: Vec<u32> = pods.iter().map(Running::pid).collect();
    servers.push(nats.pid());
    let contenders = [
        apply(&servers, &channels).await?,
        deliver(nats.pid(), Core::open(nats.port).await?),
        append("JetStream: append and its echo", &[nats.pid()], None, &bare),
        append(
            "bare tonic echo + append and its echo",
            &[echo.pid(), nats.pid()],
            Some(channel),
            &bare,
        ),
    ];
    let mut part = Part::new("delivery", "Publish to apply", WORDS);
    for in_flight in IN_FLIGHT {
        let figures = compared_for(ROUND, ROW, &contenders, in_flight, 1).await?;
        told(&mut part, in_flight, &figures)?;
        part.figures.extend(figures);
    }
    Ok(part)
}

fn told(part: &mut Part, in_flight: usize, figures: &[Figure]) -> Result<()> {
    let [own, core, _, trip] = figures else {
        return Err("four figures".into());
    };
    let name = |of| match in_flight {
        1 => format!("Invalidate to another pod's event: {of}"),
        _ => format!("Invalidate to another pod's event, {in_flight} in flight: {of}"),
    };
    let p99 = Row::times(&name("p99"), own.p99_us, (&core.what, core.p99_us));
    let p50 = Row::times(&name("p50"), own.p50_us, (&trip.what, trip.p50_us));
    // Of too few calls there is none.
    let has_p99 = own.p99_us.min(core.p99_us) > 0.0;
    // With more in flight it is what each can carry: not the goal's delay.
    let p99 = match in_flight {
        1 => p99.goal(Bound::AtMost(3.0)),
        _ => p99,
    };
    part.goals.extend(has_p99.then_some(p99));
    part.goals.push(p50);
    Ok(())
}

fn key(number: u64) -> String {
    format!("applied/{number}")
}

/// A watcher of one pod, which ends with it.
struct Watcher {
    seen: Arrivals<String>,
    reader: std::sync::OnceLock<AbortHandle>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get() {
            reader.abort();
        }
    }
}

async fn watch(pod: &Channel) -> Result<Arc<Watcher>> {
    let mut client = CacheServiceClient::new(pod.clone());
    let mut events = client.watch(WatchRequest::default()).await?.into_inner();
    events.message().await?.ok_or("the watch ended")?;
    let watcher = Arc::new(Watcher {
        seen: Arrivals::default(),
        reader: std::sync::OnceLock::new(),
    });
    let own = Arc::downgrade(&watcher);
    let reader = tokio::spawn(async move {
        while let Ok(Some(event)) = events.message().await {
            let Some(watcher) = own.upgrade() else { return };
            if let Some(watch_response::Event::Invalidation(seen)) = event.event {
                watcher.seen.extend(seen.keys);
            }
        }
    });
    let _ = watcher.reader.set(reader.abort_handle());
    Ok(watcher)
}

async fn apply(servers: &[u32], channels: &[Channel]) -> Result<Contender> {
    let (pod, watcher) = (channels[0].clone(), watch(&channels[1]).await?);
    let name = "unstale: Invalidate to event";
    Ok(Contender::new(name, servers, move |number| {
        let (pod, watcher) = (pod.clone(), watcher.clone());
        async move {
            let publish = calls::invalidate(&pod, key(number), Ack::Log);
            tokio::try_join!(publish, watcher.seen.of(key(number)))?;
            Ok(())
        }
    }))
}

fn deliver(nats: u32, core: Core) -> Contender {
    let core = Arc::new(core);
    Contender::new("core NATS: publish to deliver", &[nats], move |number| {
        let core = core.clone();
        async move { core.deliver(number).await }
    })
}

fn append(name: &str, servers: &[u32], echo: Option<Channel>, bare: &Arc<BareLog>) -> Contender {
    let bare = bare.clone();
    Contender::new(name, servers, move |_| {
        let (echo, bare) = (echo.clone(), bare.clone());
        async move {
            if let Some(echo) = echo {
                calls::echo(&echo).await?;
            }
            bare.append().await
        }
    })
}
