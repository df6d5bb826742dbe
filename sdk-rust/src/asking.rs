//! A Lease call under way. When its caller goes away, it may end in the
//! background, and what it was granted goes back: else the lease would last its
//! term, and nobody would load.
//!
//! For a moment only, so that callers who hang up in numbers do not hold the
//! connection's streams. After that the call is cut off, and the sidecar gives
//! the lease back; where it cannot be told, the term ends it.

use crate::Cache;
use crate::held::give_back;
use futures::future::BoxFuture;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::Status;
use unstale_proto::v1;

/// What a grant that is on its way may take: what the remote tier may.
const LINGER: Duration = Duration::from_millis(500);

type Call<T> = BoxFuture<'static, Result<T, Status>>;

/// The call. An answer that is not waited for is not lost.
pub(crate) struct Asking<T: Granting> {
    /// None when it has ended.
    call: Option<Call<T>>,
    cache: Cache,
    /// None until it was sent.
    runtime: Option<Handle>,
}

/// What grants leases.
pub(crate) trait Granting: Send + 'static {
    /// Their tokens.
    fn tokens(self) -> Vec<String>;
}

impl<T: Granting> Asking<T> {
    pub(crate) fn new(
        cache: &Cache,
        call: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Self {
        Self {
            call: Some(Box::pin(call)),
            cache: cache.clone(),
            runtime: None,
        }
    }
}

impl<T: Granting> Future for Asking<T> {
    type Output = Result<T, Status>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let asking = self.get_mut();
        if asking.runtime.is_none() {
            asking.runtime = Handle::try_current().ok();
        }
        let call = asking.call.as_mut().expect("it ends once");
        let answer = ready!(call.as_mut().poll(context));
        asking.call = None;
        Poll::Ready(answer)
    }
}

impl<T: Granting> Drop for Asking<T> {
    fn drop(&mut self) {
        let (call, runtime) = (self.call.take(), self.runtime.take());
        if let (Some(call), Some(runtime)) = (call, runtime) {
            let cache = self.cache.clone();
            runtime.spawn(async move {
                if let Ok(Ok(answer)) = timeout(LINGER, call).await {
                    give_back(&cache, answer.tokens()).await;
                }
            });
        }
    }
}

impl Granting for v1::LeaseResponse {
    fn tokens(self) -> Vec<String> {
        use v1::lease_response::Result as Got;
        match self.result {
            Some(Got::Granted(granted)) => vec![granted.lease_token],
            Some(Got::Hit(_) | Got::Negative(_) | Got::Busy(_)) | None => Vec::new(),
        }
    }
}

impl Granting for v1::BatchLeaseResponse {
    fn tokens(self) -> Vec<String> {
        use v1::batch_lease_result::Result as Got;
        let results = self.results.into_iter();
        let tokens = results.filter_map(|result| match result.result {
            Some(Got::Granted(granted)) => Some(granted.lease_token),
            Some(Got::Hit(_) | Got::Negative(_) | Got::Busy(_)) | None => None,
        });
        tokens.collect()
    }
}
