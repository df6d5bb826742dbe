//! On a server that does what a sidecar does when it goes, step by step.

use super::Wire;
use crate::connect::{Pace, Place};
use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use std::future::poll_fn;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower::Service as _;

async fn listener() -> (TcpListener, Wire) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let pace = Pace {
        keep_alive: Some(Duration::from_millis(20)),
        ..Pace::default()
    };
    (
        listener,
        Wire::new(Some(Place::Tcp(uri.parse().unwrap())), pace),
    )
}

async fn accepted(listener: &TcpListener) -> Connection<TcpStream, Bytes> {
    let (socket, _) = listener.accept().await.unwrap();
    h2::server::handshake(socket).await.unwrap()
}

async fn asked(server: &mut Connection<TcpStream, Bytes>) -> SendResponse<Bytes> {
    server.accept().await.unwrap().unwrap().1
}

async fn call(mut wire: Wire) -> Result<u16, Status> {
    let request = Request::post("http://localhost/call");
    let answer = wire.call(request.body(Body::empty()).unwrap()).await?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn a_call_under_way_is_answered_while_the_next_one_connects_anew() {
    let (listener, wire) = listener().await;
    let first = tokio::spawn(call(wire.clone()));
    let mut going = accepted(&listener).await;
    let mut answer = asked(&mut going).await;
    going.graceful_shutdown();
    // Says that it goes, and still answers what it has.
    let old = tokio::spawn(async move { while going.accept().await.is_some() {} });
    let link = wire.0.link().await.unwrap();
    while poll_fn(|cx| link.sender.clone().poll_ready(cx))
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn(call(wire));
    let mut new = accepted(&listener).await;
    let mut other = asked(&mut new).await;
    other.send_response(Response::new(()), true).unwrap();
    tokio::spawn(async move { while new.accept().await.is_some() {} });
    assert_eq!(second.await.unwrap().unwrap(), 200);
    answer.send_response(Response::new(()), true).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), 200);
    drop(link);
    old.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_answers_no_ping_is_given_up_and_the_next_call_makes_another() {
    let (listener, wire) = listener().await;
    let first = tokio::spawn(call(wire.clone()));
    let mut silent = accepted(&listener).await;
    let _asked = asked(&mut silent).await;
    // Not driven from here on: pings stay unanswered.
    let lost = first.await.unwrap().unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable, "{lost:?}");
    let second = tokio::spawn(call(wire));
    let mut living = accepted(&listener).await;
    asked(&mut living)
        .await
        .send_response(Response::new(()), true)
        .unwrap();
    tokio::spawn(async move { while living.accept().await.is_some() {} });
    assert_eq!(second.await.unwrap().unwrap(), 200);
}
