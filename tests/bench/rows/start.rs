//! Start to first answer, and the memory of an idle sidecar.

use crate::samples::Samples;
use crate::table::Row;
use crate::{ROUNDS, Result, calls, processes};
use std::time::{Duration, Instant};
use unstale_proto::v1::GetRequest;
use unstale_proto::v1::cache_service_client::CacheServiceClient;

/// How long a sidecar is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Both, with the local log.
pub(crate) async fn rows(sidecar: &str) -> Result<Vec<Row>> {
    let (mut measured, mut reference) = (Samples::default(), Samples::default());
    let mut resident = 0;
    for round in 0..ROUNDS {
        let begin = Instant::now();
        let bare = processes::echo()?;
        calls::echo(&bare.connected().await?).await?;
        reference.add(begin);
        drop(bare);

        let begin = Instant::now();
        let cache = processes::sidecar(sidecar, &[])?;
        let channel = cache.connected().await?;
        let request = GetRequest {
            key: calls::KEY.into(),
            ..GetRequest::default()
        };
        CacheServiceClient::new(channel).get(request).await?;
        measured.add(begin);
        if round == 0 {
            tokio::time::sleep(IDLE).await;
            resident = cache.resident_kib()?;
        }
    }
    let kib = format!("{}.{} MiB", resident / 1024, resident % 1024 * 10 / 1024);
    Ok(vec![
        Row::latency(
            "start to first answer",
            &measured,
            ("bare echo", &reference),
        )
        .goal("≤ 200 ms"),
        Row::alone("idle memory (VmRSS)", kib).goal("≤ 20 MiB"),
    ])
}
