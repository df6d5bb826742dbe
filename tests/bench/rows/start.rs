//! Start to first answer; memory and processor time of those who do nothing.

use crate::figure::Figure;
use crate::goal::{Bound, Row, millis};
use crate::part::Part;
use crate::processes::{self, Usage};
use crate::samples::Samples;
use crate::stores::Stores;
use crate::{ROUNDS, Result, calls, rounds};
use std::time::{Duration, Instant};
use unstale_proto::v1::GetRequest;
use unstale_proto::v1::cache_service_client::CacheServiceClient;

/// How long nobody does anything.
const IDLE: Duration = Duration::from_secs(20);
const WORDS: &str = "From the start of the process to the answer to its first call, several times; then memory and \
processor time of fresh processes that nobody calls, over 20 s at the same time (the kernel counts in steps of 10 ms). \
\"in NATS and Redis\" counts the sidecar alone.";

/// Both.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let mut part = Part::new("start", "Starting and idling", WORDS);
    let (mut own, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS * 2 {
        let begin = Instant::now();
        let process = processes::echo()?;
        calls::echo(&process.connected().await?).await?;
        bare.add(begin);
        drop(process);
        let begin = Instant::now();
        let process = processes::sidecar(sidecar, &[])?;
        answered(&process).await?;
        own.add(begin);
    }
    let row = "Start to first answer";
    part.figures.push(Figure::of(row, "unstale", &own));
    part.figures.push(Figure::of(row, "bare tonic echo", &bare));
    part.goals
        .push(millis(row, &own.show(), own.p50()).goal(Bound::AtMost(100.0)));
    idle(&mut part, sidecar, nats).await?;
    Ok(part)
}

async fn answered(process: &processes::Running) -> Result<()> {
    let channel = process.connected().await?;
    let request = GetRequest {
        key: calls::KEY.into(),
        ..GetRequest::default()
    };
    CacheServiceClient::new(channel).get(request).await?;
    Ok(())
}

async fn idle(part: &mut Part, sidecar: &str, nats: &str) -> Result<()> {
    let (own, echo) = (processes::sidecar(sidecar, &[])?, processes::echo()?);
    let (nats, redis) = (processes::nats(nats)?, unstale_tests::Redis::start());
    let (log, remote) = (format!("nats://127.0.0.1:{}", nats.port), redis.url());
    let flags = ["--nats", &log, "--fleet", "bench", "--remote", &remote];
    let backed = processes::sidecar(sidecar, &flags)?;
    own.in_fleet_of(1).await?;
    backed.in_fleet_of(1).await?;
    let stores = Stores::start()?;
    let stores = stores.clients_over_sockets().await?;
    let mut all = vec![
        ("unstale".to_owned(), own.pid()),
        ("unstale in NATS and Redis".to_owned(), backed.pid()),
        ("bare tonic echo".to_owned(), echo.pid()),
    ];
    all.extend(stores.iter().map(|store| (store.name.clone(), store.pid)));
    let usage = || {
        all.iter()
            .map(|(_, pid)| Usage::of(&[*pid]))
            .collect::<Result<Vec<_>>>()
    };
    let idle = if rounds::is_quick() { IDLE / 10 } else { IDLE };
    let before = usage()?;
    tokio::time::sleep(idle).await;
    let after = usage()?;
    for ((name, _), (before, after)) in all.iter().zip(before.iter().zip(&after)) {
        let cpu = after.cpu.saturating_sub(before.cpu);
        let percent = cpu.as_secs_f64() / idle.as_secs_f64() * 100.0;
        told(part, name, after.rss_kib, percent);
    }
    Ok(())
}

/// What an idle process takes; a sidecar has goals.
fn told(part: &mut Part, name: &str, rss_kib: u64, percent: f64) {
    if name.starts_with("unstale") {
        let mib = rss_kib as f64 / 1024.0;
        let (rss, cpu) = (format!("{mib:.1} MiB"), format!("{percent:.2} %"));
        let memory = Row::alone(&format!("{name}: idle memory (RSS)"), rss, mib, "MiB");
        let cpu = Row::alone(&format!("{name}: idle CPU"), cpu, percent, "%");
        part.goals.push(memory.goal(Bound::AtMost(15.0)));
        part.goals.push(cpu.goal(Bound::AtMost(0.1)));
    }
    part.figures.push(Figure {
        row: "Idle".into(),
        what: name.to_owned(),
        rss_kib: Some(rss_kib),
        note: Some(format!("{percent:.2} % of a core")),
        ..Figure::default()
    });
}
