//! A tier's connection, kept up.
//!
//! Every connection is a new one: after a loss nothing of the old one is used
//! again, and calls that were under way end with it. Waits between attempts are
//! full jitter, so that pods do not come back in step. A refusal (a wrong
//! password, an untrusted certificate) is told apart from a server that is
//! away, tried again every 10 to 20 s and complained about once a minute.

use crate::entropy::jitter;
use crate::telemetry::complaint::Complaint;
use futures::FutureExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use unstale_engine::remote::RemoteError;

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(4);
const REFUSED_DELAY: Duration = Duration::from_secs(10);
/// Before it is looked whether another server has taken over.
const LOOK_DELAY: Duration = Duration::from_millis(500);
/// A connection that was wanted for so long is no longer looked past.
const CALM: Duration = Duration::from_secs(30);
/// A tier that gives another key's record again and again has stored it so: it
/// is not the connection.
const DISTRUST_EVERY: Duration = Duration::from_secs(10);

/// Why there is no connection.
pub(super) enum NotUp {
    /// The server is away.
    Away(String),
    /// No connection before the configuration changes.
    Refused(String),
}

/// How to connect, and how to tell that a connection is over.
#[async_trait::async_trait]
pub(super) trait Dial: Send + Sync + 'static {
    type Connection: Clone + Send + Sync + 'static;
    /// One attempt, bounded in time.
    async fn dial(&self) -> Result<Self::Connection, NotUp>;
    /// Returns why the connection is over.
    async fn over(&self, connection: &Self::Connection) -> String;
}

/// A connection, for one call.
#[derive(Clone)]
pub(super) struct Open<C> {
    pub(super) connection: C,
    over: CancellationToken,
}

impl<C> Open<C> {
    /// Nobody uses this connection again, and a new one is made.
    pub(super) fn give_up(&self) {
        self.over.cancel();
    }

    /// The call's answer; none when the connection is given up before it came.
    pub(super) async fn answer<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.over.cancelled() => None,
            answer = call => Some(answer),
        }
    }
}

#[derive(Clone)]
enum State<C> {
    /// No attempt has ended yet.
    New,
    Down(String),
    Refused(String),
    Up(Open<C>),
}

/// The connection to one server, or to one cluster.
pub(super) struct Upkeep<D: Dial> {
    dial: D,
    /// Whose connection it is, for people.
    name: &'static str,
    state: watch::Sender<State<D::Connection>>,
    complaint: Arc<Complaint>,
    distrusted: Mutex<Option<Instant>>,
    wanted: Notify,
}

impl<D: Dial> Upkeep<D> {
    /// Does not connect yet: [`Upkeep::run`] does.
    /// Those that share a `complaint` say the same only once.
    pub(super) fn new(dial: D, name: &'static str, complaint: Arc<Complaint>) -> Self {
        Self {
            dial,
            name,
            state: watch::Sender::new(State::New),
            complaint,
            distrusted: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// How it connects.
    pub(super) fn dialer(&self) -> &D {
        &self.dial
    }

    /// The connection that is up now.
    pub(super) fn open(&self) -> Result<Open<D::Connection>, RemoteError> {
        match &*self.state.borrow() {
            State::Up(open) => Ok(open.clone()),
            State::New => Err(RemoteError::Unavailable("not connected yet".to_owned())),
            State::Down(why) => Err(RemoteError::Unavailable(why.clone())),
            State::Refused(why) => Err(RemoteError::Misconfigured(why.clone())),
        }
    }

    /// Whether nothing is known of the server yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(&*self.state.borrow(), State::New)
    }

    /// Waits until it is known whether there is a connection: one is up, or was
    /// refused.
    pub(super) async fn settled(&self) {
        let mut states = self.state.subscribe();
        let down = |state: &State<_>| matches!(state, State::New | State::Down(_));
        // The sender lives as long as this.
        let _ = states.wait_for(|state| !down(state)).await;
    }

    /// Gives the connection up because of what came over it; rarely.
    /// Without a connection nothing is given up, and the next is not spared.
    pub(super) fn distrust(&self) {
        let state = self.state.borrow();
        let State::Up(open) = &*state else { return };
        let last = self.distrusted.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < DISTRUST_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        tracing::error!(
            connection = self.name,
            "gave what is stored for another key; connecting anew"
        );
        open.give_up();
    }

    /// Wants a connection in place of the one that is up: its server answers, and
    /// another may have taken over. Until there is one it is used on.
    pub(super) fn look_again(&self) {
        self.wanted.notify_one();
    }

    /// Reports what keeps the tier from working, the same at most once a minute.
    pub(super) fn complain(&self, text: &str) {
        self.complaint.say(self.name, text);
    }

    /// Keeps the connection up until `cancel`.
    pub(super) async fn run(&self, cancel: CancellationToken) {
        let mut attempt = 0;
        loop {
            let wait = tokio::select! {
                () = cancel.cancelled() => break,
                wait = self.once(&mut attempt) => wait,
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.state.send_replace(State::Down("stopped".to_owned()));
    }

    /// One connection, from the attempt to its end; how long to wait then.
    async fn once(&self, attempt: &mut u32) -> Duration {
        let state = match self.dial.dial().await {
            Ok(connection) => {
                let began = Instant::now();
                let why = self.hold(connection).await;
                // One that is of no use is not made again and again in a hurry.
                if began.elapsed() >= LONGEST_DELAY {
                    *attempt = 0;
                }
                State::Down(why)
            }
            Err(NotUp::Away(why)) => State::Down(why),
            Err(NotUp::Refused(why)) => State::Refused(why),
        };
        if let State::Down(why) | State::Refused(why) = &state {
            self.complain(why);
        }
        let refused = matches!(state, State::Refused(_));
        self.state.send_replace(state);
        *attempt = attempt.saturating_add(1);
        if refused {
            return REFUSED_DELAY + jitter(REFUSED_DELAY);
        }
        jitter((FIRST_DELAY * 2u32.pow((*attempt - 1).min(6))).min(LONGEST_DELAY))
    }

    /// Hands the connection out, and any that takes its place, until it is over;
    /// why it is.
    async fn hold(&self, mut connection: D::Connection) -> String {
        // How often another was looked for in a row.
        let mut looked = 0;
        loop {
            let began = Instant::now();
            let over = CancellationToken::new();
            let open = Open {
                connection: connection.clone(),
                over: over.clone(),
            };
            // Whatever ends this future, calls under way end with it.
            let end = over.clone().drop_guard();
            self.state.send_replace(State::Up(open));
            let next = tokio::select! {
                () = over.cancelled() => return "the connection was given up".to_owned(),
                why = self.dial.over(&connection) => return why,
                next = self.another(looked) => next,
            };
            looked = match began.elapsed() >= CALM {
                true => 0,
                false => looked + 1,
            };
            // Calls under way get their answers from where they were sent.
            end.disarm();
            connection = next;
        }
    }

    /// A connection to take the place of the one that is up, once it is wanted.
    async fn another(&self, looked: u32) -> D::Connection {
        let delay = (LOOK_DELAY * 2u32.pow(looked.min(6))).min(LONGEST_DELAY / 2);
        loop {
            self.wanted.notified().await;
            // At first within a second; who refuses for long is not hurried.
            tokio::time::sleep(delay / 2 + jitter(delay)).await;
            // Whoever wanted one meanwhile wanted this one.
            let _ = self.wanted.notified().now_or_never();
            // What is there is better than nothing.
            if let Ok(connection) = self.dial.dial().await {
                return connection;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// A server that refuses, or is away, or takes every connection.
    struct Server {
        attempts: AtomicU32,
        answer: fn() -> Result<(), NotUp>,
        /// Ends every connection at once.
        hangs_up: bool,
    }

    #[async_trait::async_trait]
    impl Dial for Server {
        type Connection = u32;

        async fn dial(&self) -> Result<u32, NotUp> {
            let number = self.attempts.fetch_add(1, Relaxed);
            (self.answer)().map(|()| number)
        }

        async fn over(&self, _: &u32) -> String {
            match self.hangs_up {
                true => "lost".to_owned(),
                false => std::future::pending().await,
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
    fn run(answer: fn() -> Result<(), NotUp>, hangs_up: bool) -> Arc<Upkeep<Server>> {
        let server = Server {
            attempts: AtomicU32::new(0),
            answer,
            hangs_up,
        };
        let upkeep = Arc::new(Upkeep::new(server, "test", Arc::default()));
        let running = upkeep.clone();
        tokio::spawn(async move { running.run(CancellationToken::new()).await });
        upkeep
    }

    async fn attempts_in(minutes: u64, answer: fn() -> Result<(), NotUp>, hangs_up: bool) -> u32 {
        let upkeep = run(answer, hangs_up);
        tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
        upkeep.dial.attempts.load(Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_tried_again_three_to_six_times_a_minute() {
        let refused = || Err(NotUp::Refused("a wrong password".to_owned()));
        let attempts = attempts_in(10, refused, false).await;
        assert!((30..=61).contains(&attempts), "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_tried_often_but_not_at_once() {
        let attempts = attempts_in(10, || Err(NotUp::Away("away".to_owned())), false).await;
        // Every 2 s in the mean.
        assert!((200..600).contains(&attempts), "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_up_again_and_again_is_not_tried_in_a_hurry() {
        let attempts = attempts_in(10, || Ok(()), true).await;
        assert!((200..600).contains(&attempts), "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_distrusted_ends_with_its_calls_and_not_again_and_again() {
        let upkeep = run(|| Ok(()), false);
        upkeep.settled().await;
        let first = upkeep.open().unwrap();
        upkeep.distrust();
        let call = first.answer(std::future::pending::<()>());
        assert_eq!(call.await, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let second = upkeep.open().unwrap();
        assert_ne!(first.connection, second.connection);
        upkeep.distrust();
        assert_eq!(second.answer(async { 7 }).await, Some(7));
        tokio::time::sleep(DISTRUST_EVERY).await;
        upkeep.distrust();
        assert_eq!(second.answer(async { 7 }).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_takes_anothers_place_ends_no_call() {
        let upkeep = run(|| Ok(()), false);
        upkeep.settled().await;
        let first = upkeep.open().unwrap();
        for _ in 0..100 {
            upkeep.look_again();
        }
        let looked = tokio::time::timeout(LOOK_DELAY * 3, async {
            // There is one all the time.
            while upkeep.open().unwrap().connection == first.connection {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        looked.await.expect("another connection");
        assert_eq!(first.answer(async { 7 }).await, Some(7));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(upkeep.dial.attempts.load(Relaxed), 2, "wanted once");
    }

    #[tokio::test(start_paused = true)]
    async fn distrust_of_no_connection_does_not_spare_the_next() {
        let upkeep = run(|| Ok(()), false);
        // What came over one that was lost meanwhile.
        upkeep.distrust();
        upkeep.settled().await;
        let open = upkeep.open().unwrap();
        upkeep.distrust();
        assert_eq!(open.answer(async { 7 }).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_refuses_puts_for_ever_is_not_connected_to_in_a_hurry() {
        let upkeep = run(|| Ok(()), false);
        upkeep.settled().await;
        for _ in 0..60_000 {
            upkeep.look_again();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // As of a server that hangs up again and again: every 2 s in the mean.
        let attempts = upkeep.dial.attempts.load(Relaxed);
        assert!((200..600).contains(&attempts), "{attempts}");
    }
}
