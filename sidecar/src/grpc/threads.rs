//! The threads that serve connections: one per core, each with a runtime of its
//! own. The first is the process's, where the log and the remote tier are, too: a
//! call that asks them wakes no other thread, either.
//!
//! A connection stays with its thread, and so do its calls: what is answered
//! from L1 wakes no other thread. With workers that steal from one another it
//! does, on every call, because HTTP/2 wakes the task that runs (a connection
//! that was given room to send), and such a task is offered to the next worker.

use super::socket::{Accepted, Socket};
use crate::shutdown::Shutdown;
use futures::{Stream, StreamExt as _};
use std::io;
use std::sync::Arc;
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

/// Connections of one thread that it has not taken yet.
const ACCEPTED: usize = 16;

/// The threads, as whoever accepts connections sees them.
pub(super) struct Threads(Vec<Thread>);

struct Thread {
    connections: mpsc::Sender<Place>,
    /// As many clones as it has connections.
    load: Arc<()>,
}

/// A connection, counted as its thread's.
struct Place {
    accepted: Accepted,
    load: Arc<()>,
}

impl Threads {
    /// Starts one per core, or as many as the system gives. Each serves until it
    /// is given no more connections and those that it has are closed; what their
    /// calls began is driven until it ends.
    pub(super) fn start<S, F>(shutdown: &Shutdown, serve: S) -> Self
    where
        S: Fn(Connections) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::many(cores, shutdown, serve)
    }

    fn many<S, F>(count: usize, shutdown: &Shutdown, serve: S) -> Self
    where
        S: Fn(Connections) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut threads = vec![Thread::here(shutdown, &serve)];
        for _ in 1..count {
            match Thread::start(shutdown, serve.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    tracing::warn!(%error, threads = threads.len(), "no more threads for gRPC");
                    break;
                }
            }
        }
        Self(threads)
    }

    /// Gives a connection to the thread that has the fewest and has room for one
    /// more; false when none serves any more. Waits while connections are begun
    /// faster than served.
    pub(super) async fn take(&self, mut accepted: Accepted) -> bool {
        let mut threads: Vec<&Thread> = self.0.iter().collect();
        threads.sort_by_key(|thread| thread.load());
        for thread in &threads {
            match thread.connections.try_send(thread.place(accepted)) {
                Ok(()) => return true,
                Err(refused) => accepted = refused.into_inner().accepted,
            }
        }
        for thread in threads {
            match thread.connections.send(thread.place(accepted)).await {
                Ok(()) => return true,
                Err(refused) => accepted = refused.0.accepted,
            }
        }
        false
    }
}

impl Thread {
    /// The process's own thread.
    fn here<S, F>(shutdown: &Shutdown, serve: &S) -> Self
    where
        S: Fn(Connections) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (connections, taken) = mpsc::channel(ACCEPTED);
        shutdown.spawn("grpc", serve(Connections(ReceiverStream::new(taken))));
        let load = Arc::default();
        Self { connections, load }
    }

    fn start<S, F>(shutdown: &Shutdown, serve: S) -> io::Result<Self>
    where
        S: Fn(Connections) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (connections, taken) = mpsc::channel(ACCEPTED);
        let (over, is_over) = oneshot::channel::<()>();
        let (tell, began) = std::sync::mpsc::channel();
        let tasks = shutdown.clone();
        let work = move || {
            // Where the system gives no thread for its worker, the library panics, and
            // nothing is told.
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            let served = async move { serve(Connections(ReceiverStream::new(taken))).await };
            let served = runtime.spawn(served);
            let _ = tell.send(Ok(()));
            runtime.block_on(async move {
                if served.await.is_err() {
                    tracing::error!("a thread serves no more connections: it panicked");
                }
                drop(over);
                tasks.ended().await;
            });
        };
        // It sleeps until the end.
        thread::Builder::new().name("grpc end".into()).spawn(work)?;
        began.recv().map_err(|_| no_worker())??;
        shutdown.spawn("grpc", async move {
            let _ = is_over.await;
        });
        Ok(Self {
            connections,
            load: Arc::default(),
        })
    }

    fn place(&self, accepted: Accepted) -> Place {
        let load = self.load.clone();
        Place { accepted, load }
    }

    fn load(&self) -> usize {
        Arc::strong_count(&self.load)
    }
}

fn no_worker() -> io::Error {
    io::Error::other("the system gives no thread for a worker")
}

/// One worker, as the process's own has: it goes on with what it woke last, so that
/// an answer is on its way while the next call is read.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("grpc")
        .enable_all()
        .build()
}

/// The connections that a thread is given, ready to be read.
pub(super) struct Connections(ReceiverStream<Place>);

impl Connections {
    /// One by one, for the server.
    pub(super) fn sockets(self) -> impl Stream<Item = io::Result<Socket>> {
        let opened = |Place { accepted, load }| Socket::new(accepted, load);
        self.0.map(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::ThreadId;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    type Served = (ThreadId, Socket);

    /// Threads that hand out what they serve.
    fn threads(count: usize) -> (Threads, mpsc::Receiver<Served>) {
        let (sender, served) = mpsc::channel(16);
        let serve = move |connections: Connections| {
            let sender = sender.clone();
            async move {
                let mut sockets = pin!(connections.sockets());
                while let Some(Ok(socket)) = sockets.next().await {
                    let _ = sender.send((thread::current().id(), socket)).await;
                }
            }
        };
        let threads = Threads::many(count, &Shutdown::new(), serve);
        (threads, served)
    }

    async fn accepted() -> (Accepted, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (stream, _) = listener.accept().await.unwrap();
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        (Accepted::tcp(stream, permit).unwrap(), caller.unwrap())
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_thread_that_has_the_fewest() {
        let (threads, mut served) = threads(2);
        let mut next = async || {
            let (accepted, _caller) = accepted().await;
            assert!(threads.take(accepted).await);
            served.recv().await.unwrap()
        };
        let (first, second) = (next().await, next().await);
        assert_ne!(first.0, second.0);
        let third = next().await;
        assert_eq!(third.0, first.0);
        drop((first.1, third.1));
        // It would be the other's turn.
        assert_eq!(next().await.0, third.0);
    }

    #[tokio::test]
    async fn a_thread_that_panicked_is_given_no_connection() {
        let (sender, mut served) = mpsc::channel(16);
        let serve = move |connections: Connections| {
            let sender = sender.clone();
            async move {
                let mut sockets = pin!(connections.sockets());
                while let Some(Ok(socket)) = sockets.next().await {
                    let here = thread::current().id();
                    let _ = sender.send((here, socket)).await;
                    assert_ne!(thread::current().name(), Some("grpc"), "planted");
                }
            }
        };
        let threads = Threads::many(2, &Shutdown::new(), serve);
        let mut given = Vec::new();
        for _ in 0..4 {
            let (accepted, _caller) = accepted().await;
            assert!(threads.take(accepted).await);
            given.push(served.recv().await.unwrap());
            // The other thread has ended when it has let go of what it was given.
            while threads.0[1].load() > 1 && !threads.0[1].connections.is_closed() {
                tokio::task::yield_now().await;
            }
        }
        let other = |(id, _): &&Served| *id != thread::current().id();
        assert_eq!(given.iter().filter(other).count(), 1);
    }

    #[tokio::test]
    async fn what_a_call_began_is_driven_when_its_connections_are_gone() {
        let (shutdown, go) = (Shutdown::new(), CancellationToken::new());
        let done = Arc::new(AtomicBool::new(false));
        let (tasks, may, did) = (shutdown.clone(), go.clone(), done.clone());
        let serve = move |_: Connections| {
            let (may, did) = (may.clone(), did.clone());
            let began = async move {
                may.cancelled().await;
                did.store(true, Ordering::Relaxed);
            };
            tasks.spawn("call", began);
            std::future::ready(())
        };
        let threads = Threads::many(2, &shutdown, serve);
        drop(threads);
        // The service ends before its task does.
        while shutdown.is_running("grpc") {
            tokio::task::yield_now().await;
        }
        go.cancel();
        assert!(shutdown.finish(Duration::from_secs(60)).await);
        assert!(done.load(Ordering::Relaxed));
    }
}
