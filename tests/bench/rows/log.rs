//! Invalidate over NATS: LOG beside a bare append, FLEET beside LOG, in fleets of
//! several sizes.

use super::nats::BareLog;
use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::processes::Running;
use crate::samples::Samples;
use crate::{ROUNDS, Result, calls, processes, rounds};
use std::time::Instant;
use tonic::transport::Channel;
use unstale_proto::v1::Ack;

/// Calls of each kind in one round.
const CALLS: usize = 200;
/// Sizes of fleets.
const FLEETS: [usize; 4] = [1, 2, 4, 8];
const WORDS: &str = "One call at a time through one pod; FLEET is answered when every pod has said that it processed it, \
and each call checks how many said so. The reference of LOG is one call of the bare echo, one bare append to a stream \
like the sidecar's, and its delivery to a plain consumer. With eight pods this measures how two cores schedule them.";

/// LOG and FLEET with each number of pods.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let nats = processes::nats(nats)?;
    let mut bare = BareLog::open(nats.port).await?;
    let echo = processes::echo()?;
    let echo = echo.connected().await?;
    let (mut all, mut part) = (Vec::new(), Part::new("log", "Invalidation", WORDS));
    for size in FLEETS {
        all.extend(pods(sidecar, nats.port, size - all.len())?);
        let channels = fleet(&all).await?;
        let mut samples: [Samples; 3] = Default::default();
        for round in 0..=ROUNDS {
            if round == 1 {
                samples = Default::default();
            }
            let [log, fleet, reference] = &mut samples;
            append(&echo, &mut bare, reference).await?;
            invalidate(&channels[0], Ack::Log, 0, log).await?;
            invalidate(&channels[0], Ack::Fleet, size, fleet).await?;
        }
        told(&mut part, size, &samples);
    }
    Ok(part)
}

fn told(part: &mut Part, size: usize, [log, fleet, reference]: &[Samples; 3]) {
    let pods = if size == 1 {
        "1 pod"
    } else {
        &format!("{size} pods")
    };
    let bare = "bare echo + bare append and its echo";
    let figure = |row, what, samples| Figure::of(row, what, samples).pods(size);
    part.figures.extend([
        figure("Invalidate LOG", "unstale", log),
        figure("Invalidate FLEET", "unstale", fleet),
        figure("Invalidate LOG", bare, reference),
    ]);
    let row = format!("Invalidate LOG, {pods}: p50");
    let row = Row::latency(&row, log, (bare, reference));
    part.goals.push(row.goal(Bound::AtMost(1.3)));
    let name = format!("Invalidate FLEET, {pods}: p50");
    part.goals.push(Row::latency(&name, fleet, ("LOG", log)));
}

/// Pods of one fleet.
pub(super) fn pods(sidecar: &str, nats: u16, count: usize) -> Result<Vec<Running>> {
    let url = format!("nats://127.0.0.1:{nats}");
    let flags = ["--nats", &url, "--fleet", "bench"];
    (0..count)
        .map(|_| processes::sidecar(sidecar, &flags))
        .collect()
}

/// Channels to all pods, when each knows each.
pub(super) async fn fleet(pods: &[Running]) -> Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for pod in pods {
        channels.push(pod.in_fleet_of(pods.len()).await?);
    }
    Ok(channels)
}

async fn append(echo: &Channel, bare: &mut BareLog, samples: &mut Samples) -> Result<()> {
    for _ in 0..rounds::some(CALLS) {
        let begin = Instant::now();
        calls::echo(echo).await?;
        bare.append().await?;
        samples.add(begin);
    }
    Ok(())
}

async fn invalidate(pod: &Channel, ack: Ack, acked: usize, samples: &mut Samples) -> Result<()> {
    for _ in 0..rounds::some(CALLS) {
        let begin = Instant::now();
        let by = calls::invalidate(pod, ack).await?;
        samples.add(begin);
        if by != acked {
            return Err(format!("{by} sessions acked, not {acked}").into());
        }
    }
    Ok(())
}
