//! The kinds of calls that a stream carries: a message's place in a frame, its
//! answer's, and the same call by itself.

use crate::wire::Wire;
use tonic::{Request, Response, Status};
use unstale_proto::v1;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;

/// A request that has both lanes.
pub(crate) trait Kind: prost::Message + Sized {
    /// What it is answered with.
    type Answer: Send;

    /// As a stream carries it.
    fn into_call(self) -> Called;

    /// Back from there.
    fn from_call(call: Called) -> Option<Self>;

    /// Its answer; none when it is that of another kind.
    fn answer(outcome: Outcome) -> Option<Self::Answer>;

    /// The call by itself.
    fn alone(
        client: CacheServiceClient<Wire>,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

macro_rules! kinds {
    ($($kind:ident, $request:ident, $answer:ident, $method:ident;)*) => {$(
        impl Kind for v1::$request {
            type Answer = v1::$answer;

            fn into_call(self) -> Called {
                Called::$kind(self)
            }

            fn from_call(call: Called) -> Option<Self> {
                match call {
                    Called::$kind(request) => Some(request),
                    _ => None,
                }
            }

            fn answer(outcome: Outcome) -> Option<v1::$answer> {
                match outcome {
                    Outcome::$kind(answer) => Some(answer),
                    _ => None,
                }
            }

            async fn alone(
                mut client: CacheServiceClient<Wire>,
                request: Request<Self>,
            ) -> Result<Response<v1::$answer>, Status> {
                client.$method(request).await
            }
        }
    )*};
}

kinds! {
    Get, GetRequest, GetResponse, get;
    BatchGet, BatchGetRequest, BatchGetResponse, batch_get;
    Set, SetRequest, SetResponse, set;
    BatchSet, BatchSetRequest, BatchSetResponse, batch_set;
    CompareAndSet, CompareAndSetRequest, CompareAndSetResponse, compare_and_set;
    Lease, LeaseRequest, LeaseResponse, lease;
    BatchLease, BatchLeaseRequest, BatchLeaseResponse, batch_lease;
    Renew, RenewRequest, RenewResponse, renew;
    Fill, FillRequest, FillResponse, fill;
    Abandon, AbandonRequest, AbandonResponse, abandon;
    Invalidate, InvalidateRequest, InvalidateResponse, invalidate;
}
