//! The kinds of calls that a stream carries: a message's field of a SessionCall, its
//! answer's, and the same call by itself.

use crate::wire::Wire;
use tonic::{Request, Response, Status};
use unstale_proto::v1;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;

/// A request that has both lanes.
pub(crate) trait Kind: prost::Message + Default {
    /// What it is answered with.
    type Answer: Send;

    /// Its field of a SessionCall.
    const FIELD: u32;

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
    ($($kind:ident = $field:literal, $request:ident, $answer:ident, $method:ident;)*) => {$(
        impl Kind for v1::$request {
            type Answer = v1::$answer;

            const FIELD: u32 = $field;

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
    Get = 3, GetRequest, GetResponse, get;
    BatchGet = 4, BatchGetRequest, BatchGetResponse, batch_get;
    Set = 5, SetRequest, SetResponse, set;
    BatchSet = 6, BatchSetRequest, BatchSetResponse, batch_set;
    CompareAndSet = 7, CompareAndSetRequest, CompareAndSetResponse, compare_and_set;
    Lease = 8, LeaseRequest, LeaseResponse, lease;
    BatchLease = 9, BatchLeaseRequest, BatchLeaseResponse, batch_lease;
    Renew = 10, RenewRequest, RenewResponse, renew;
    Fill = 11, FillRequest, FillResponse, fill;
    Abandon = 12, AbandonRequest, AbandonResponse, abandon;
    Invalidate = 13, InvalidateRequest, InvalidateResponse, invalidate;
}

#[cfg(test)]
mod tests {
    use super::super::Asked;
    use super::*;
    use prost::Message as _;
    use std::time::Duration;

    fn comes_back<T: Kind + PartialEq>() {
        let asked = Asked {
            message: T::default(),
            timeout: Some(Duration::new(1, 2)),
        };
        let call = v1::SessionCall::decode(&*asked.rest()).unwrap();
        let timeout = call.timeout.map(Duration::try_from);
        assert_eq!(timeout, Some(Ok(Duration::new(1, 2))));
        assert_eq!(call.id, 0, "it is put before");
        let message = call.request.and_then(T::from_call);
        assert!(message == Some(asked.message), "field {}", T::FIELD);
    }

    #[test]
    fn each_kind_is_carried_in_its_own_field() {
        comes_back::<v1::GetRequest>();
        comes_back::<v1::BatchGetRequest>();
        comes_back::<v1::SetRequest>();
        comes_back::<v1::BatchSetRequest>();
        comes_back::<v1::CompareAndSetRequest>();
        comes_back::<v1::LeaseRequest>();
        comes_back::<v1::BatchLeaseRequest>();
        comes_back::<v1::RenewRequest>();
        comes_back::<v1::FillRequest>();
        comes_back::<v1::AbandonRequest>();
        comes_back::<v1::InvalidateRequest>();
    }
}
