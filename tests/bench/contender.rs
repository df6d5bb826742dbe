//! Who is compared with others: a client, and the processes that serve it.
//!
//! A call begins as soon as one before it has ended, and so many are under way at a
//! time. Every call checks its answer, and one that fails ends the run.

use crate::Result;
use crate::rounds::is_quick;
use futures::future::BoxFuture;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Makes the call with this number; numbers are given once.
type Call = dyn Fn(u64) -> BoxFuture<'static, Result<()>> + Send + Sync;
/// Makes ready what the calls with these numbers need; nobody measures it.
type Prepare = dyn Fn(Range<u64>) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// How long a round is.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// Calls begin for so long.
    Time(Duration),
    /// So many calls.
    Calls(u64),
}

impl Length {
    /// With `--quick` a tenth of it.
    pub(crate) fn now(self) -> Self {
        match self {
            whole if !is_quick() => whole,
            Self::Time(time) => Self::Time(time / 10),
            Self::Calls(calls) => Self::Calls(calls.div_ceil(10)),
        }
    }
}

/// A client, and the processes that serve it.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) servers: Vec<u32>,
    call: Arc<Call>,
    prepare: Option<Box<Prepare>>,
    next: Arc<AtomicU64>,
}

impl Contender {
    /// `call` makes one call of the client.
    pub(crate) fn new<F>(
        name: &str,
        servers: &[u32],
        call: impl Fn(u64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name: name.into(),
            servers: servers.into(),
            call: Arc::new(move |number| Box::pin(call(number))),
            prepare: None,
            next: Arc::default(),
        }
    }

    /// With something to be made ready before each round, which has to be one of a
    /// number of calls.
    pub(crate) fn prepared<F>(
        self,
        prepare: impl Fn(Range<u64>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let prepare: Box<Prepare> = Box::new(move |numbers| Box::pin(prepare(numbers)));
        let prepare = Some(prepare);
        Self { prepare, ..self }
    }

    /// Makes ready what a round of this length needs; the numbers of its calls.
    pub(crate) async fn ready(&self, length: Length) -> Result<Range<u64>> {
        let first = self.next.load(Relaxed);
        let numbers = match length {
            Length::Time(_) => first..u64::MAX,
            Length::Calls(calls) => first..first + calls,
        };
        match (&self.prepare, length) {
            (None, _) => {}
            (Some(prepare), Length::Calls(_)) => prepare(numbers.clone()).await?,
            (Some(_), Length::Time(_)) => return Err("nobody knows what has to be ready".into()),
        }
        Ok(numbers)
    }

    /// The time of each call, and of all.
    pub(crate) async fn round(
        &self,
        in_flight: usize,
        length: Length,
        numbers: Range<u64>,
    ) -> Result<(Vec<Duration>, Duration)> {
        let begin = Instant::now();
        let end = match length {
            Length::Time(time) => Some(begin + time),
            Length::Calls(_) => None,
        };
        let mut clients = JoinSet::new();
        for _ in 0..in_flight {
            let (call, next) = (self.call.clone(), self.next.clone());
            clients.spawn(client(call, next, numbers.end, end));
        }
        let mut times = Vec::new();
        while let Some(ended) = clients.join_next().await {
            times.extend(
                ended
                    .map_err(Into::into)
                    .flatten()
                    .map_err(|e| self.failed(e))?,
            );
        }
        let elapsed = begin.elapsed();
        // Each client took one number more than there were.
        self.next.fetch_min(numbers.end, Relaxed);
        Ok((times, elapsed))
    }

    fn failed(&self, why: crate::Error) -> crate::Error {
        format!("{}: {why}", self.name).into()
    }
}

async fn client(
    call: Arc<Call>,
    next: Arc<AtomicU64>,
    last: u64,
    end: Option<Instant>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let begin = Instant::now();
        if end.is_some_and(|end| begin >= end) {
            return Ok(times);
        }
        let number = next.fetch_add(1, Relaxed);
        if number >= last {
            return Ok(times);
        }
        call(number).await?;
        times.push(begin.elapsed());
    }
}
