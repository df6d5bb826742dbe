//! On a server that does what sidecars do with streams, step by step.

use super::*;
use crate::connect::{Pace, Place};
use bytes::Bytes;
use h2::server::SendResponse;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;
use tonic::codegen::http;
use unstale_proto::v1::{
    GetRequest, SessionAnswer, SessionClosing, SessionOpened, SessionResponse,
};

/// How long a call is waited for: of one on a stream nothing is heard here.
const PATIENCE: Duration = Duration::from_millis(20);
/// More than a stream that is due needs, and less than a pause for an unknown one.
const SOON: Duration = Duration::from_secs(15);

async fn served() -> (TcpListener, Arc<Lanes>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin: Uri = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let wire = Wire::new(Some(Place::Tcp(origin.clone())), Pace::default());
    (listener, Arc::new(Lanes::new(&wire, &origin, true)))
}

async fn get(lanes: Arc<Lanes>) -> Result<(), Status> {
    let message = GetRequest::default();
    let timeout = None;
    lanes.call(Asked { message, timeout }).await.map(drop)
}

/// A call that came.
struct Came {
    path: String,
    answer: SendResponse<Bytes>,
}

/// A connection, and its calls; they end with it.
async fn accepted(listener: &TcpListener) -> (mpsc::Receiver<Came>, JoinHandle<()>) {
    let (socket, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(socket).await.unwrap();
    let (tell, came) = mpsc::channel(16);
    let serving = tokio::spawn(async move {
        while let Some(Ok((request, answer))) = connection.accept().await {
            let path = request.uri().path().to_owned();
            tell.send(Came { path, answer }).await.unwrap();
        }
    });
    (came, serving)
}

impl Came {
    fn is_session(&self) -> bool {
        self.path.ends_with("/Session")
    }

    fn refuse(mut self, code: Code) {
        let status = http::HeaderValue::from(i32::from(code));
        let mut refused = http::Response::new(());
        refused.headers_mut().insert("grpc-status", status);
        self.answer.send_response(refused, true).unwrap();
    }

    fn open(mut self) -> h2::SendStream<Bytes> {
        self.answer
            .send_response(http::Response::new(()), false)
            .unwrap()
    }
}

fn message(response: &SessionResponse) -> Bytes {
    framed(&response.encode_to_vec())
}

fn framed(encoded: &[u8]) -> Bytes {
    let length = u32::try_from(encoded.len()).unwrap().to_be_bytes();
    [&[0], &length[..], encoded].concat().into()
}

fn opened() -> SessionResponse {
    SessionResponse {
        opened: Some(SessionOpened {
            max_calls: 8,
            max_bytes: 1 << 20,
        }),
        ..SessionResponse::default()
    }
}

/// The Session that comes first; calls by themselves are refused.
async fn session(came: &mut mpsc::Receiver<Came>) -> Came {
    loop {
        let came = came.recv().await.unwrap();
        if came.is_session() {
            return came;
        }
        came.refuse(Code::Unavailable);
    }
}

/// Knows no Session, however often it comes.
async fn unknown_to(came: &mut mpsc::Receiver<Came>) {
    loop {
        session(came).await.refuse(Code::Unimplemented);
    }
}

/// Makes calls until it is dropped.
fn calling(lanes: &Arc<Lanes>) -> impl Future<Output = ()> + use<> {
    let lanes = lanes.clone();
    async move {
        loop {
            let _ = timeout(PATIENCE, get(lanes.clone())).await;
            tokio::task::yield_now().await;
        }
    }
}

async fn until(lanes: &Lanes, lane: &str) {
    while !format!("{lanes:?}").contains(lane) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sidecar_that_knows_no_streams_is_asked_again_on_a_new_connection() {
    let (listener, lanes) = served().await;
    let asked = async {
        let (mut came, serving) = accepted(&listener).await;
        // A connection that was made while it was asked is asked once more.
        tokio::select! {
            () = until(&lanes, "unknown") => {}
            () = unknown_to(&mut came) => unreachable!(),
        }
        serving.abort();
        drop(came);
        // A newer one took its place.
        let (mut came, _serving) = accepted(&listener).await;
        session(&mut came).await;
    };
    let asked = async {
        tokio::select! {
            () = asked => {}
            () = calling(&lanes) => unreachable!(),
        }
    };
    timeout(SOON, asked).await.expect("it is asked again");
}

#[tokio::test]
async fn a_stream_that_closes_is_followed_by_another_before_it_has_ended() {
    let (listener, lanes) = served().await;
    let followed = async {
        let (mut came, _serving) = accepted(&listener).await;
        let mut closing = session(&mut came).await.open();
        closing.send_data(message(&opened()), false).unwrap();
        until(&lanes, "open\"").await;
        let word = SessionResponse {
            closing: Some(SessionClosing {}),
            ..SessionResponse::default()
        };
        closing.send_data(message(&word), false).unwrap();
        session(&mut came).await;
    };
    let followed = async {
        tokio::select! {
            () = followed => {}
            () = calling(&lanes) => unreachable!(),
        }
    };
    timeout(SOON, followed).await.expect("there is another");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_the_stream_and_its_calls() {
    let (listener, lanes) = served().await;
    let ended = async {
        let (mut came, _serving) = accepted(&listener).await;
        let mut stream = session(&mut came).await.open();
        stream.send_data(message(&opened()), false).unwrap();
        until(&lanes, "open\"").await;
        let lost = tokio::spawn(get(lanes.clone()));
        tokio::task::yield_now().await;
        let cut = SessionResponse {
            answers: vec![SessionAnswer {
                id: 1,
                result: None,
            }],
            ..SessionResponse::default()
        };
        let mut cut = cut.encode_to_vec();
        cut.pop();
        stream.send_data(framed(&cut), false).unwrap();
        // Calls by themselves, when it is full, are refused meanwhile.
        tokio::select! {
            ended = lost => ended.unwrap().unwrap_err(),
            _ = session(&mut came) => unreachable!("it is open until then"),
        }
    };
    let ended = async {
        tokio::select! {
            ended = ended => ended,
            () = calling(&lanes) => unreachable!(),
        }
    };
    let why = timeout(SOON, ended).await.expect("it ends");
    assert_eq!(why.code(), Code::Unavailable);
    assert!(why.message().contains("decode"), "{why}");
}

#[tokio::test]
async fn nothing_is_left_of_a_client_that_goes_while_its_stream_is_opened() {
    let (listener, lanes) = served().await;
    let call = tokio::spawn(get(lanes.clone()));
    let (mut came, _serving) = accepted(&listener).await;
    let (one, two) = (came.recv().await.unwrap(), came.recv().await.unwrap());
    let (opening, alone) = match one.is_session() {
        true => (one, two),
        false => (two, one),
    };
    alone.refuse(Code::Unavailable);
    call.await.unwrap().unwrap_err();
    drop(lanes);
    let end = timeout(SOON, came.recv()).await;
    assert!(end.expect("the connection ends").is_none());
    drop(opening);
}
