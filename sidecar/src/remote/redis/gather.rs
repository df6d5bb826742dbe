//! Reads that are asked for at once become one: the keys of a batch are a few
//! MGETs, not a GET each.
//!
//! The first of them waits until everybody else that can run has run, asks for
//! all that came meanwhile and hands the answers out in order. A read alone
//! costs no more than that one turn. Each answer is still judged by its reader,
//! by the identity inside the record. Does not wait for any time to pass. Who is
//! cancelled takes nobody's answer away: what was asked for is read to its end,
//! and if the first is cancelled before it asked, each of the others asks alone.

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Most reads in one: as many as one batch has keys under way at a time.
const MOST: usize = 32;

/// The one read, alive as long as anybody waits for it, and whose answer is at
/// which place.
type Asked<A> = (Shared<BoxFuture<'static, Arc<Vec<A>>>>, usize);

/// Who waits for the first to ask.
pub(super) struct Gather<A> {
    waiting: Mutex<Vec<(String, oneshot::Sender<Asked<A>>)>>,
}

/// What a read came to.
pub(super) enum Gathered<A> {
    /// The answer to this key.
    Answer(A),
    /// Nobody asked: ask for this key alone.
    Alone,
}

impl<A> Default for Gather<A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<A: Clone + Send + Sync + 'static> Gather<A> {
    /// Reads `key` together with others; `ask` is called with two keys or more
    /// and returns one answer per key, in their order.
    pub(super) async fn get(
        &self,
        key: String,
        ask: impl FnOnce(Vec<String>) -> BoxFuture<'static, Vec<A>> + Send,
    ) -> Gathered<A> {
        let (told, asked) = oneshot::channel();
        let first = {
            let mut waiting = self.lock();
            // The first has all it can take.
            if waiting.len() >= MOST {
                return Gathered::Alone;
            }
            waiting.push((key, told));
            waiting.len() == 1
        };
        if first {
            self.lead(ask).await;
        }
        let Ok((answers, at)) = asked.await else {
            return Gathered::Alone;
        };
        let answer = answers.await.get(at).cloned();
        answer.map_or(Gathered::Alone, Gathered::Answer)
    }

    async fn lead(&self, ask: impl FnOnce(Vec<String>) -> BoxFuture<'static, Vec<A>> + Send) {
        let others = Abandoned(self);
        tokio::task::yield_now().await;
        let waiting = std::mem::take(&mut *self.lock());
        // Whoever comes from now on has a first of its own.
        std::mem::forget(others);
        // Alone, it is told so by the end of its channel.
        if waiting.len() < 2 {
            return;
        }
        let (keys, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let answers = ask(keys).map(Arc::new).boxed().shared();
        for (at, told) in waiting.into_iter().enumerate() {
            // Whoever was cancelled does not wait any more.
            let _ = told.send((answers.clone(), at));
        }
    }
}

impl<A> Gather<A> {
    fn lock(&self) -> MutexGuard<'_, Vec<(String, oneshot::Sender<Asked<A>>)>> {
        self.waiting.lock().expect("no panic under the lock")
    }
}

/// Sends those who wait away if the first was cancelled before it asked.
struct Abandoned<'a, A>(&'a Gather<A>);

impl<A> Drop for Abandoned<'_, A> {
    fn drop(&mut self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers each key with itself, and counts the calls.
    async fn get(gather: &Gather<String>, calls: &AtomicUsize, key: &str) -> Option<String> {
        let ask = |keys: Vec<String>| {
            calls.fetch_add(1, Ordering::Relaxed);
            async { keys }.boxed()
        };
        match gather.get(key.to_owned(), ask).await {
            Gathered::Answer(answer) => Some(answer),
            Gathered::Alone => None,
        }
    }

    #[tokio::test]
    async fn reads_at_once_are_one_call_and_each_has_its_own_answer() {
        let (gather, calls) = (Gather::default(), AtomicUsize::new(0));
        let keys: Vec<_> = (0..MOST).map(|n| n.to_string()).collect();
        let answers = join_all(keys.iter().map(|key| get(&gather, &calls, key))).await;
        let own = answers.into_iter().map(|answer| answer.expect("an answer"));
        assert_eq!(own.collect::<Vec<_>>(), keys);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_read_alone_asks_for_itself() {
        let (gather, calls) = (Gather::default(), AtomicUsize::new(0));
        assert_eq!(get(&gather, &calls, "a").await, None);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn when_the_first_is_cancelled_the_others_ask_for_themselves() {
        let (gather, calls) = (Gather::default(), AtomicUsize::new(0));
        let mut first = Box::pin(get(&gather, &calls, "a"));
        assert!(futures::poll!(first.as_mut()).is_pending());
        let mut second = Box::pin(get(&gather, &calls, "b"));
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(first);
        assert_eq!(second.await, None);
        // The next one leads again.
        let (one, two) = tokio::join!(get(&gather, &calls, "c"), get(&gather, &calls, "d"));
        assert_eq!((one.as_deref(), two.as_deref()), (Some("c"), Some("d")));
    }

    #[tokio::test]
    async fn who_is_cancelled_after_asking_takes_nobodys_answer_away() {
        let gather: std::sync::Arc<Gather<String>> = std::sync::Arc::default();
        let (go, gone) = oneshot::channel::<()>();
        let slow = |keys: Vec<String>| {
            let slow = async {
                let _ = gone.await;
                keys
            };
            slow.boxed()
        };
        let mut first = Box::pin(gather.get("a".to_owned(), slow));
        assert!(futures::poll!(first.as_mut()).is_pending());
        let never = |_: Vec<String>| std::future::pending().boxed();
        let mut second = Box::pin(gather.get("b".to_owned(), never));
        assert!(futures::poll!(second.as_mut()).is_pending());
        tokio::task::yield_now().await;
        assert!(futures::poll!(first.as_mut()).is_pending());
        drop(first);
        assert!(go.send(()).is_ok());
        assert!(matches!(second.await, Gathered::Answer(answer) if answer == "b"));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_short_leaves_the_rest_to_themselves() {
        let gather: Gather<String> = Gather::default();
        let short = |keys: Vec<String>| async { keys.into_iter().take(1).collect() }.boxed();
        let (one, two) = tokio::join!(
            gather.get("a".to_owned(), short),
            gather.get("b".to_owned(), short)
        );
        assert!(matches!(one, Gathered::Answer(answer) if answer == "a"));
        assert!(matches!(two, Gathered::Alone));
    }
}
