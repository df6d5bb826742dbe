//! Invalidate over NATS: LOG beside a bare append, FLEET beside LOG, in fleets of
//! several sizes.

use super::nats::BareLog;
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
use tonic::transport::Channel;
use unstale_proto::v1::Ack;

/// Long enough for ten calls above a p99.9.
const ROUND: Length = Length::Time(Duration::from_millis(700));
/// Sizes of fleets.
const FLEETS: [usize; 4] = [1, 2, 4, 8];
const BARE: &str = "bare echo + bare append and its echo";
const WORDS: &str = "Of one key, a new one each time, through one pod; FLEET is answered when every pod has said that it \
processed it, and each call checks how many said so. The reference of LOG is one call of the bare echo, one bare append to a \
stream like the sidecar's, and its delivery to a plain consumer. Processor time and memory are those of all pods, or of the \
echo, with the NATS server's; the pods, which tell each \
other that they live, are there in the reference's rounds, too. With eight pods this measures how two cores schedule them.";

/// LOG and FLEET with each number of pods.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let nats = processes::nats(nats)?;
    let bare = Arc::new(BareLog::open(nats.port).await?);
    let echo = processes::echo()?;
    let channel = echo.connected().await?;
    let (mut all, mut part) = (Vec::new(), Part::new("log", "Invalidation", WORDS));
    for size in FLEETS {
        all.extend(pods(sidecar, nats.port, size - all.len())?);
        let channels = fleet(&all).await?;
        let mut servers: Vec<u32> = all.iter().map(Running::pid).collect();
        servers.push(nats.pid());
        let contenders = [
            invalidate("Invalidate LOG", &servers, &channels[0], (Ack::Log, 0)),
            invalidate(
                "Invalidate FLEET",
                &servers,
                &channels[0],
                (Ack::Fleet, size),
            ),
            append(&[echo.pid(), nats.pid()], &channel, &bare),
        ];
        for in_flight in IN_FLIGHT {
            let figures = compared_for(ROUND, "", &contenders, in_flight, 1).await?;
            told(&mut part, (size, in_flight), figures)?;
        }
    }
    Ok(part)
}

fn told(part: &mut Part, (size, in_flight): (usize, usize), figures: Vec<Figure>) -> Result<()> {
    let own = |figure: Figure| Figure {
        row: figure.what,
        what: "unstale".into(),
        ..figure
    };
    let [log, fleet, bare] =
        <[Figure; 3]>::try_from(figures).map_err(|_| "there are three contenders")?;
    let bare = Figure {
        row: "Invalidate LOG".into(),
        ..bare
    };
    let [log, fleet, bare] = [own(log), own(fleet), bare].map(|figure| figure.pods(size));
    let pods = match (size, in_flight) {
        (1, 1) => "1 pod".to_owned(),
        (_, 1) => format!("{size} pods"),
        (1, _) => format!("1 pod, {in_flight} in flight"),
        _ => format!("{size} pods, {in_flight} in flight"),
    };
    let row = Row::latency(&format!("Invalidate LOG, {pods}: p50"), &log, &bare);
    part.goals.push(row.goal(Bound::AtMost(1.3)));
    let beside = Figure {
        what: "LOG".into(),
        ..log.clone()
    };
    let row = Row::latency(&format!("Invalidate FLEET, {pods}: p50"), &fleet, &beside);
    part.goals.push(row);
    part.figures.extend([log, fleet, bare]);
    Ok(())
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

fn append(servers: &[u32], echo: &Channel, bare: &Arc<BareLog>) -> Contender {
    let (echo, bare) = (echo.clone(), bare.clone());
    Contender::new(BARE, servers, move |_| {
        let (echo, bare) = (echo.clone(), bare.clone());
        async move {
            calls::echo(&echo).await?;
            bare.append().await
        }
    })
}

fn invalidate(name: &str, servers: &[u32], pod: &Channel, (ack, acked): (Ack, usize)) -> Contender {
    let pod = pod.clone();
    Contender::new(name, servers, move |number| {
        let pod = pod.clone();
        async move {
            let key = format!("invalidated/{number}");
            match calls::invalidate(&pod, key, ack).await? {
                by if by == acked => Ok(()),
                by => Err(format!("{by} sessions acked, not {acked}").into()),
            }
        }
    })
}
