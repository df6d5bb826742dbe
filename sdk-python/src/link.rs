//! A process's connection, and whether the sidecar at its end has fallen
//! silent: there, but not answering.
//!
//! The call that finds out waits for its deadline; those after it must not each
//! wait as long. From then on a question in the background waits for the
//! sidecar, and of the calls that can go on without it none does. A sidecar
//! that refuses connections is no such case: that costs a call nothing.

use crate::runtime::Driver;
use std::process;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, sleep};
use unstale::{Builder, Cache, Error};

/// The sidecar's own deadline of a call that brings none.
const DEADLINE: Duration = Duration::from_secs(1);
/// The pause after a question that was not answered.
const PAUSE: Duration = Duration::from_millis(500);

/// A process's connection; made at the first call.
pub(crate) struct Link {
    pub(crate) pid: u32,
    pub(crate) driver: &'static Driver,
    builder: Builder,
    deadline: Duration,
    cache: OnceCell<Cache>,
    silent: watch::Sender<bool>,
}

impl Link {
    pub(crate) fn new(
        driver: &'static Driver,
        builder: Builder,
        timeout: Option<Duration>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pid: process::id(),
            driver,
            builder,
            deadline: timeout.unwrap_or(DEADLINE),
            cache: OnceCell::new(),
            silent: watch::Sender::new(false),
        })
    }

    pub(crate) async fn cache(&self) -> Result<&Cache, Error> {
        let connect = || self.builder.clone().connect();
        self.cache.get_or_try_init(connect).await
    }

    /// The outcome of a call that its caller can go on without.
    pub(crate) async fn attempt<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut silence = self.silent.subscribe();
        let began = Instant::now();
        let outcome = tokio::select! {
            biased;
            // The sender is here, so that this waits or has the word.
            _ = silence.wait_for(|silent| *silent) => return Err(silent()),
            outcome = call => outcome,
        };
        if let Err(error) = &outcome
            && self.is_silence(error, began)
            && !self.silent.send_replace(true)
        {
            let asked = Asked(Arc::downgrade(self));
            self.driver.spawn(asked.until_it_answers());
        }
        outcome
    }

    /// Whether no word came from the sidecar in the whole time that it had.
    fn is_silence(&self, error: &Error, began: Instant) -> bool {
        let word = match error {
            Error::Unreachable(_) => false,
            Error::DeadlineExceeded { reason, .. } => !reason.is_empty(),
            _ => true,
        };
        !word && began.elapsed() >= self.deadline
    }
}

/// The question in the background; whatever ends it ends the silence.
struct Asked(Weak<Link>);

impl Asked {
    async fn until_it_answers(self) {
        while let Some(link) = self.0.upgrade() {
            let began = Instant::now();
            let asking = async { link.cache().await?.status().await };
            match asking.await {
                Err(error) if link.is_silence(&error, began) => {}
                Ok(_) | Err(_) => return,
            }
            drop(link);
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            link.silent.send_replace(false);
        }
    }
}

fn silent() -> Error {
    Error::Unreachable("it has fallen silent; it is asked again in the background".to_owned())
}
