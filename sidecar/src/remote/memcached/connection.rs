//! One connection, shared by many calls: requests go out as they come, answers
//! come back in the same order and carry the request's number.
//!
//! Guarantees: an answer reaches the call that asked, or nobody: whatever
//! cannot be matched ends the connection, and with it every call under way. A
//! call that was cancelled leaves its answer to be thrown away. What is under
//! way is bounded: more calls wait to be sent.

use super::codec::{self, Answer, Flags};
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait to be sent; when full, their callers wait.
const WAITING: usize = 256;
/// Requests whose answers are awaited; when full, nothing is sent.
const UNDER_WAY: usize = 1024;
/// Requests are sent together up to about this many bytes.
const TOGETHER: usize = 64 << 10;

/// Room that is made for answers when there is less than a part of it: a value
/// is not worth a read of its own.
const ROOM: usize = 32 << 10;

/// Requests that go out together, and who waits for all of their answers.
struct Call {
    /// The number of the first; the others count on from there.
    opaque: u64,
    count: usize,
    requests: Bytes,
    answers: oneshot::Sender<Vec<Answer>>,
}

/// A handle on the connection; clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    /// Which start of the server this is: see [`super::dial`].
    pub(super) incarnation: u16,
    calls: mpsc::Sender<Call>,
    driver: Arc<Mutex<Option<Driver>>>,
}

/// What has to run for answers to come.
pub(super) struct Driver {
    stream: TcpStream,
    /// What came already.
    bytes: BytesMut,
    calls: mpsc::Receiver<Call>,
}

impl Connection {
    /// Nothing moves before the driver runs.
    pub(super) fn new(stream: TcpStream, bytes: BytesMut, incarnation: u16) -> Self {
        let (tell, calls) = mpsc::channel(WAITING);
        let driver = Driver {
            stream,
            bytes,
            calls,
        };
        Self {
            incarnation,
            calls: tell,
            driver: Arc::new(Mutex::new(Some(driver))),
        }
    }

    /// The driver, once.
    pub(super) fn driver(&self) -> Option<Driver> {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        driver.take()
    }

    /// So many requests, numbered from `opaque` on, and an answer to each; none
    /// when the connection ended before all of them came. Cancel safe: the
    /// requests may have been sent.
    pub(super) async fn ask(
        &self,
        opaque: u64,
        count: usize,
        requests: Bytes,
    ) -> Option<Vec<Answer>> {
        let (answers, answered) = oneshot::channel();
        let call = Call {
            opaque,
            count,
            requests,
            answers,
        };
        self.calls.send(call).await.ok()?;
        answered.await.ok()
    }
}

/// Who waits for the next answers, and those that came.
struct Awaited {
    opaque: u64,
    count: usize,
    came: Vec<Answer>,
    answers: oneshot::Sender<Vec<Answer>>,
}

impl Awaited {
    /// Takes an answer, if it can be the next one.
    fn take(&mut self, answer: Answer) -> bool {
        let fits = answers(&answer, self.opaque + self.came.len() as u64);
        self.came.push(answer);
        fits
    }
}

impl Driver {
    /// Moves requests and answers until the connection is over; why it is.
    pub(super) async fn run(self) -> String {
        let (read, write) = self.stream.into_split();
        let (tell, awaited) = mpsc::channel(UNDER_WAY);
        let ended = tokio::select! {
            ended = send(write, self.calls, tell) => ended,
            ended = receive(read, self.bytes, awaited) => ended,
        };
        match ended {
            Ok(()) => "closed".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

async fn send(
    mut socket: OwnedWriteHalf,
    mut calls: mpsc::Receiver<Call>,
    awaited: mpsc::Sender<Awaited>,
) -> io::Result<()> {
    let mut together = BytesMut::new();
    while let Some(call) = calls.recv().await {
        let mut next = Some(call);
        while let Some(call) = next {
            enter(call, &mut together, &mut socket, &awaited).await?;
            next = match together.len() < TOGETHER {
                true => calls.try_recv().ok(),
                false => None,
            };
        }
        socket.write_all(&together).await?;
        together.clear();
    }
    Ok(())
}

/// Enters who waits, and then adds the request to what is sent together.
async fn enter(
    call: Call,
    together: &mut BytesMut,
    socket: &mut OwnedWriteHalf,
    awaited: &mpsc::Sender<Awaited>,
) -> io::Result<()> {
    // Nobody wants it any more, and nothing of it was sent.
    if call.answers.is_closed() {
        return Ok(());
    }
    if awaited.capacity() == 0 {
        // What was entered has to be sent, or there will never be room.
        socket.write_all(together).await?;
        together.clear();
    }
    let entered = Awaited {
        opaque: call.opaque,
        count: call.count,
        came: Vec::with_capacity(call.count),
        answers: call.answers,
    };
    let entered = awaited.send(entered).await;
    entered.map_err(|_| out_of_step())?;
    together.extend_from_slice(&call.requests);
    Ok(())
}

async fn receive(
    mut socket: OwnedReadHalf,
    mut bytes: BytesMut,
    mut awaited: mpsc::Receiver<Awaited>,
) -> io::Result<()> {
    let mut current: Option<Awaited> = None;
    loop {
        while let Some(answer) = codec::decode(&mut bytes).map_err(|_| out_of_step())? {
            // Whoever waits was entered before the request was sent.
            let call = current.take().or_else(|| awaited.try_recv().ok());
            let mut call = call.ok_or_else(out_of_step)?;
            if !call.take(answer) {
                return Err(out_of_step());
            }
            if call.came.len() < call.count {
                current = Some(call);
                continue;
            }
            // The caller may have gone.
            let _ = call.answers.send(call.came);
        }
        if bytes.capacity() - bytes.len() < ROOM / 4 {
            bytes.reserve(ROOM);
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether this can be the answer to that request. Errors carry no number.
fn answers(answer: &Answer, opaque: u64) -> bool {
    match answer {
        Answer::Value { flags, .. } | Answer::Status { flags, .. } => {
            *flags
                == Flags {
                    opaque: Some(opaque),
                    ..*flags
                }
        }
        Answer::Error(_) => true,
        Answer::Line(_) => false,
    }
}

fn out_of_step() -> io::Error {
    io::Error::other("answers and requests do not match")
}
