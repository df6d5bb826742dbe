//! Get and BatchGet without what the gRPC library does for them: no router, no
//! message of the answer, no future of the engine where nothing is waited for.
//! Every other call goes on to the router.
//!
//! Guarantees: answers as the services do, limits and errors included; they share
//! [`super::get`].

pub(super) mod short;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod wire;

use super::get::{self, Many, One, Step};
use futures::future::BoxFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstDecoder;
use unstale_engine::Engine;
use unstale_proto::v1::{BatchGetRequest, GetRequest};

const GET: &str = "/unstale.v1.CacheService/Get";
const BATCH_GET: &str = "/unstale.v1.CacheService/BatchGet";

/// A router, and the calls that do not need it.
#[derive(Clone)]
pub(super) struct Direct<S> {
    pub(super) router: S,
    pub(super) engine: Arc<Engine>,
    /// The longest request and the longest answer.
    pub(super) limits: (usize, usize),
}

impl<S> Service<http::Request<Body>> for Direct<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.router.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match request.uri().path() {
            GET => {
                let codec: ReadyCodec<GetRequest, One> = ReadyCodec::new(GET_BUFFER);
                let (mut grpc, reads) = (self.grpc(codec), Reads(self.engine.clone()));
                Box::pin(async move { Ok(grpc.unary(reads, request).await) })
            }
            BATCH_GET => {
                let codec: ReadyCodec<BatchGetRequest, Many> = ReadyCodec::new(BATCH_BUFFER);
                let (mut grpc, reads) = (self.grpc(codec), Reads(self.engine.clone()));
                Box::pin(async move { Ok(grpc.unary(reads, request).await) })
            }
            _ => Box::pin(self.router.call(request)),
        }
    }
}

impl<S> Direct<S> {
    fn grpc<C: Codec>(&self, codec: C) -> Grpc<C> {
        let (request, answer) = self.limits;
        Grpc::new(codec).apply_max_message_size_config(Some(request), Some(answer))
    }
}

/// The handlers.
struct Reads(Arc<Engine>);

impl UnaryService<GetRequest> for Reads {
    type Response = One;
    type Future = Answering<One>;

    fn call(&mut self, request: Request<GetRequest>) -> Self::Future {
        get::one(&self.0, request.into()).into()
    }
}

impl UnaryService<BatchGetRequest> for Reads {
    type Response = Many;
    type Future = Answering<Many>;

    fn call(&mut self, request: Request<BatchGetRequest>) -> Self::Future {
        get::many(&self.0, request.into()).into()
    }
}

/// An answer that is there, or one that is waited for.
enum Answering<T> {
    Now(Option<Result<T, Status>>),
    Later(BoxFuture<'static, Result<T, Status>>),
}

impl<T> From<Step<T>> for Answering<T> {
    fn from(step: Step<T>) -> Self {
        match step {
            Step::Done(answer) => Self::Now(Some(answer)),
            Step::Far(answer) => Self::Later(answer),
        }
    }
}

impl<T: Unpin> Future for Answering<T> {
    type Output = Result<Response<T>, Status>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut *self {
            Self::Now(answer) => Poll::Ready(answer.take().expect("it is polled to its end once")),
            Self::Later(answer) => answer.as_mut().poll(context),
        };
        answer.map(|answer| answer.map(Response::new))
    }
}

/// What its answers are first written to: enough for a value of some KiB.
const GET_BUFFER: usize = 8 * 1024;
/// The encoder makes room for the whole when it knows how much.
const BATCH_BUFFER: usize = 64;

/// Decodes requests as the services do; encodes what is ready.
struct ReadyCodec<R, T> {
    buffer: usize,
    ready: PhantomData<fn(R, T)>,
}

impl<R, T> ReadyCodec<R, T> {
    fn new(buffer: usize) -> Self {
        Self {
            buffer,
            ready: PhantomData,
        }
    }
}

impl<R, T> Codec for ReadyCodec<R, T>
where
    R: prost::Message + Default + Send + 'static,
    T: Ready,
{
    type Encode = T;
    type Decode = R;
    type Encoder = ReadyEncoder<T>;
    type Decoder = ProstDecoder<R>;

    fn encoder(&mut self) -> Self::Encoder {
        ReadyEncoder {
            buffer: self.buffer,
            ready: PhantomData,
        }
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

/// An answer that encodes itself.
trait Ready: Send + 'static {
    fn put(self, to: &mut EncodeBuf<'_>);
}

struct ReadyEncoder<T> {
    buffer: usize,
    ready: PhantomData<fn(T)>,
}

impl<T: Ready> Encoder for ReadyEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.put(to);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // A single answer is given out whole.
        BufferSettings::new(self.buffer, 32 * 1024)
    }
}

impl Ready for One {
    fn put(self, to: &mut EncodeBuf<'_>) {
        wire::put_one(to, self);
    }
}

impl Ready for Many {
    fn put(self, to: &mut EncodeBuf<'_>) {
        to.reserve(wire::room(&self));
        wire::put_many(to, &self);
    }
}
