//! The Rust client and sidecars of other versions: an older one does not know a
//! call, a newer one says what this client does not know. Their answers are
//! made by hand, on a real connection.

use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tonic_types::{ErrorDetails, StatusExt as _};
use unstale::{
    Bytes, Cache, Degraded, EntryOptions, Error, Freshness, LoadOptions, Loaded, Lookup, NotFilled,
    NotStoredReason, SetOutcome, StaleReason, Tier, WatchEvent,
};
use unstale_proto::v1;

/// What a sidecar answers to every call.
#[derive(Clone)]
enum Says {
    Message(Vec<u8>),
    Status(tonic::Status),
}

/// A sidecar that says this.
struct Sidecar {
    endpoint: String,
}

impl Sidecar {
    async fn says(what: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let what = Arc::new(what);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&what)));
            }
        });
        let endpoint = format!("http://{address}");
        Self { endpoint }
    }

    async fn message(message: &impl prost::Message, more: &[u8]) -> Self {
        let mut bytes = message.encode_to_vec();
        bytes.extend_from_slice(more);
        Self::says(Says::Message(bytes)).await
    }

    async fn client(&self) -> Cache {
        let builder = Cache::builder().endpoint(self.endpoint.as_str());
        builder.connect().await.expect("it is there")
    }

    async fn strict(&self) -> Cache {
        let builder = Cache::builder().endpoint(self.endpoint.as_str());
        builder.strict().connect().await.expect("it is there")
    }
}

async fn serve(socket: TcpStream, what: Arc<Says>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else {
        return;
    };
    while let Some(Ok((_, respond))) = connection.accept().await {
        // The client may be gone: there is nobody to tell.
        let _ = answer(respond, &what);
    }
}

fn answer(mut respond: SendResponse<Bytes>, what: &Says) -> Result<(), h2::Error> {
    match what {
        Says::Status(status) => {
            let response = status.clone().into_http::<()>();
            respond.send_response(response, true)?;
        }
        Says::Message(message) => {
            let response = Response::builder().header("content-type", "application/grpc");
            let response = response.body(()).expect("a response");
            let mut stream = respond.send_response(response, false)?;
            let mut frame = vec![0];
            frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
            frame.extend_from_slice(message);
            stream.send_data(frame.into(), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            stream.send_trailers(trailers)?;
        }
    }
    Ok(())
}

/// A field that this version does not have: number 1000, text.
const UNKNOWN: &[u8] = b"\xc2\x3e\x03new";

fn entry() -> v1::Entry {
    v1::Entry {
        value: Some(v1::entry::Value::Text("v".to_owned())),
        tier: v1::Tier::L1.into(),
        freshness: v1::Freshness::Stale.into(),
        stale_reason: 99,
        ..v1::Entry::default()
    }
}

fn found(entry: v1::Entry) -> v1::GetResponse {
    v1::GetResponse {
        result: Some(v1::get_response::Result::Found(entry)),
        position: "e-1".to_owned(),
        degraded: Some(v1::Degraded { reasons: vec![99] }),
    }
}

#[tokio::test]
async fn what_a_newer_sidecar_adds_is_passed_over() {
    let cache = Sidecar::message(&found(entry()), UNKNOWN).await;
    let read = cache.strict().await.get("k").await.expect("an answer");
    let Lookup::Hit(entry) = read.result else {
        panic!("{read:?}");
    };
    assert_eq!(entry.stale_reason, Some(StaleReason::Other));
    assert_eq!(read.degraded, [Degraded::Other]);
    let unsaid = v1::Entry {
        tier: 99,
        freshness: 99,
        ..self::entry()
    };
    let cache = Sidecar::message(&found(unsaid), UNKNOWN).await;
    let read = cache.strict().await.get("k").await.expect("an answer");
    let Lookup::Hit(entry) = read.result else {
        panic!("{read:?}");
    };
    assert_eq!(
        (entry.tier, entry.freshness),
        (Tier::Other, Freshness::Stale)
    );
    let not = v1::SetResponse {
        result: Some(v1::set_response::Result::NotStored(v1::NotStored {
            reason: 99,
            ..v1::NotStored::default()
        })),
        ..v1::SetResponse::default()
    };
    let sidecar = Sidecar::message(&not, UNKNOWN).await;
    let set = sidecar.strict().await.set("k", "v").await;
    let set = set.expect("an answer").result;
    let other = NotStoredReason::Other;
    assert!(matches!(set, SetOutcome::NotStored { reason, .. } if reason == other));
}

#[tokio::test]
async fn an_answer_that_cannot_be_understood_is_a_miss_and_never_a_guess() {
    let unsaid = v1::Entry {
        freshness: 0,
        ..entry()
    };
    for sidecar in [
        // A result that this version does not have.
        Sidecar::message(&v1::GetResponse::default(), UNKNOWN).await,
        Sidecar::message(&found(unsaid), b"").await,
    ] {
        let read = sidecar.client().await.get("k").await.expect("a miss");
        assert!(read.result == Lookup::Miss && read.is_outage(), "{read:?}");
        let read = sidecar.strict().await.get("k").await;
        assert!(matches!(read, Err(Error::Answer(_))), "{read:?}");
    }
    let sidecar = Sidecar::message(&v1::LeaseResponse::default(), UNKNOWN).await;
    loads(&sidecar.client().await).await;
}

/// The loader runs.
async fn loads(cache: &Cache) {
    let load = || async { Ok::<_, Infallible>("loaded") };
    let loaded = cache.get_or_load("k", LoadOptions::default(), load).await;
    let loaded = loaded.expect("a value");
    assert!(loaded.is_outage(), "{loaded:?}");
    let Loaded::NotFilled { why, .. } = loaded.result else {
        panic!("{loaded:?}");
    };
    assert!(matches!(why, NotFilled::Failed(_)), "{why:?}");
}

#[tokio::test]
async fn an_error_with_a_new_reason_is_told_with_it() {
    let mut details = ErrorDetails::new();
    details.set_error_info("NEW_REASON", "unstale.dev", HashMap::new());
    let status = tonic::Status::with_error_details(tonic::Code::Aborted, "words", details);
    let sidecar = Sidecar::says(Says::Status(status)).await;
    let error = sidecar.strict().await.get("k").await.expect_err("refused");
    assert_eq!(error.reason(), Some("NEW_REASON"));
    let read = sidecar.client().await.get("k").await.expect("a miss");
    assert!(read.is_outage(), "{read:?}");
    loads(&sidecar.client().await).await;
    let gone = sidecar.client().await.delete("k").await;
    assert!(matches!(gone, Err(Error::Other { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_call_that_an_older_sidecar_does_not_know_says_so() {
    let status = tonic::Status::unimplemented("unknown method");
    let sidecar = Sidecar::says(Says::Status(status)).await;
    let (cache, strict) = (sidecar.client().await, sidecar.strict().await);
    let read = strict.get("k").await;
    assert!(matches!(read, Err(Error::Unsupported { .. })), "{read:?}");
    let read = cache.get("k").await.expect("a miss");
    assert!(read.result == Lookup::Miss && read.is_outage(), "{read:?}");
    loads(&cache).await;
    let gone = cache.delete("k").await;
    assert!(matches!(gone, Err(Error::Unsupported { .. })), "{gone:?}");
    let filled = cache.fill("token", "v", EntryOptions::default()).await;
    assert!(
        matches!(filled, Err(Error::Unsupported { .. })),
        "{filled:?}"
    );
}

#[tokio::test]
async fn a_watch_ends_with_an_error_at_an_event_that_it_does_not_know() {
    use futures::StreamExt as _;

    // What covers something, but nothing that this version has a word for.
    let invalidation = v1::Invalidation {
        namespace: "default".to_owned(),
        ..v1::Invalidation::default()
    };
    let covers = v1::WatchResponse {
        event: Some(v1::watch_response::Event::Invalidation(invalidation)),
        position: "e-1".to_owned(),
    };
    for told in [v1::WatchResponse::default(), covers] {
        let sidecar = Sidecar::message(&told, UNKNOWN).await;
        let watch = sidecar.client().await.watch(Default::default()).await;
        let events: Vec<Result<WatchEvent, Error>> = watch.expect("a stream").collect().await;
        // Whoever watches must not believe that nothing happened.
        assert!(matches!(events[..], [Err(Error::Answer(_))]), "{events:?}");
    }
}
