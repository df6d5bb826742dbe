//! One call as bytes over HTTP/2, for what a proper client refuses to send.

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tonic::Status;
use unstale_tests::Sidecar;

/// Sends `message` to a method of the cache; the status it was answered with.
pub(crate) async fn call(
    pod: &Sidecar,
    method: &str,
    timeout: Option<&str>,
    message: &[u8],
) -> Status {
    let port = pod.port();
    let socket = TcpStream::connect(("127.0.0.1", port)).await;
    let handshake = h2::client::handshake(socket.expect("it listens")).await;
    let (client, connection) = handshake.expect("HTTP/2");
    let exchange = exchange(client, port, method, timeout, message);
    tokio::select! {
        trailers = exchange => Status::from_header_map(&trailers).expect("a gRPC status"),
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

/// Makes a call, has no room for its answer, and hangs up when it is there.
pub(crate) async fn hang_up(pod: &Sidecar, method: &str, message: &[u8]) {
    let port = pod.port();
    let socket = TcpStream::connect(("127.0.0.1", port)).await;
    let mut no_room = h2::client::Builder::new();
    no_room.initial_window_size(0);
    let handshake = no_room.handshake(socket.expect("it listens")).await;
    let (client, connection) = handshake.expect("HTTP/2");
    let exchange = send(client, port, method, None, message);
    tokio::select! {
        head = exchange => assert!(!head.headers().contains_key("grpc-status"), "{head:?}"),
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

async fn exchange(
    client: h2::client::SendRequest<Bytes>,
    port: u16,
    method: &str,
    timeout: Option<&str>,
    message: &[u8],
) -> HeaderMap {
    let answer = send(client, port, method, timeout, message).await;
    let (head, mut body) = answer.into_parts();
    if head.headers.contains_key("grpc-status") {
        return head.headers;
    }
    while body.data().await.is_some() {}
    let trailers = body.trailers().await.expect("the end");
    trailers.expect("trailers")
}

/// Sends it; the head of the answer, and the rest to come.
async fn send(
    client: h2::client::SendRequest<Bytes>,
    port: u16,
    method: &str,
    timeout: Option<&str>,
    message: &[u8],
) -> Response<RecvStream> {
    let uri = format!("http://127.0.0.1:{port}/unstale.v1.CacheService/{method}");
    let request = Request::post(uri)
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    let request = match timeout {
        Some(timeout) => request.header("grpc-timeout", timeout),
        None => request,
    };
    let request = request.body(()).expect("a request");
    let mut client = client.ready().await.expect("ready");
    let (answer, mut body) = client.send_request(request, false).expect("sent");
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a short message"));
    frame.put_slice(message);
    // It may be answered before the body is read: then this fails, rightly.
    let _ = body.send_data(frame.freeze(), true);
    answer.await.expect("an answer")
}
