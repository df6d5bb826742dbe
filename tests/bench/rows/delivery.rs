//! How long after it was asked for another pod has applied an invalidation, beside
//! how long NATS takes from publish to deliver.

use super::nats::{BareLog, Core};
use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::samples::Samples;
use crate::{ROUNDS, Result, calls, processes, rounds};
use std::time::Instant;
use tonic::Streaming;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{Ack, WatchRequest, WatchResponse, watch_response};

const ROW: &str = "Publish to apply";
/// Invalidations of one round.
const CALLS: usize = 300;
/// Of the fleet.
const PODS: usize = 3;
const WORDS: &str = "From the call of Invalidate on one pod until a watcher of another has its event: a trip to the one, \
the append, the other's reading and applying it, and a trip from there. Core NATS delivers 96 bytes from one connection \
to another; JetStream appends them first.";

/// Rounds of each, in turns.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let nats = processes::nats(nats)?;
    let (mut core, mut bare) = (
        Core::open(nats.port).await?,
        BareLog::open(nats.port).await?,
    );
    let echo = processes::echo()?;
    let echo = echo.connected().await?;
    let pods = super::log::pods(sidecar, nats.port, PODS)?;
    let channels = super::log::fleet(&pods).await?;
    let mut events = watch(&channels[1]).await?;
    let mut samples: [Samples; 4] = Default::default();
    for round in 0..=ROUNDS {
        if round == 1 {
            samples = Default::default();
        }
        for _ in 0..rounds::some(CALLS) {
            apply(&channels[0], &mut events, &mut samples[0]).await?;
        }
        for _ in 0..rounds::some(CALLS) {
            samples[1].extend([core.deliver().await?]);
        }
        for _ in 0..rounds::some(CALLS) {
            let begin = Instant::now();
            bare.append().await?;
            samples[2].add(begin);
        }
        for _ in 0..rounds::some(CALLS) {
            let begin = Instant::now();
            calls::echo(&echo).await?;
            bare.append().await?;
            samples[3].add(begin);
        }
    }
    told(&samples)
}

fn told(samples: &[Samples; 4]) -> Result<Part> {
    let mut part = Part::new("delivery", "Publish to apply", WORDS);
    let names = [
        "unstale: Invalidate to event",
        "core NATS: publish to deliver",
        "JetStream: append and its echo",
        "bare tonic echo + append and its echo",
    ];
    let figures = names
        .iter()
        .zip(samples)
        .map(|(name, samples)| Figure::of(ROW, name, samples));
    part.figures.extend(figures);
    let [own, core, _, trip] = &part.figures[..] else {
        return Err("four figures".into());
    };
    let p99 = Row::times(
        "Invalidate to another pod's event: p99",
        own.p99_us,
        (&core.what, core.p99_us),
    );
    let p50 = Row::times(
        "Invalidate to another pod's event: p50",
        own.p50_us,
        (&trip.what, trip.p50_us),
    );
    // Of too few calls there is none.
    let has_p99 = own.p99_us.min(core.p99_us) > 0.0;
    part.goals
        .extend(has_p99.then(|| p99.goal(Bound::AtMost(3.0))));
    part.goals.push(p50);
    Ok(part)
}

async fn watch(pod: &Channel) -> Result<Streaming<WatchResponse>> {
    let mut client = CacheServiceClient::new(pod.clone());
    let mut events = client.watch(WatchRequest::default()).await?.into_inner();
    events.message().await?.ok_or("the watch ended")?;
    Ok(events)
}

async fn apply(
    pod: &Channel,
    events: &mut Streaming<WatchResponse>,
    samples: &mut Samples,
) -> Result<()> {
    let begin = Instant::now();
    let publish = calls::invalidate(pod, Ack::Log);
    let apply = async {
        while let Some(event) = events.message().await? {
            if matches!(event.event, Some(watch_response::Event::Invalidation(_))) {
                samples.add(begin);
                return Ok(());
            }
        }
        Err(crate::Error::from("the watch ended"))
    };
    tokio::try_join!(publish, apply)?;
    Ok(())
}
