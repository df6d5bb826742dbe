//! The engine's ports over the modelled world, one set per start of a pod.

use crate::world::{PODS, Shared, TTL_US};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use unstale_engine::Engine;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::coherence::record::{Body, Record, SessionId};
use unstale_engine::key::NameHash;
use unstale_engine::log::*;
use unstale_engine::random::Random;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision, Stored};

pub(crate) struct Pod {
    pub(crate) shared: Shared,
    pub(crate) number: usize,
    /// Which start of the pod this is: tasks of earlier ones are dead.
    pub(crate) rate_ppm: u64,
    pub(crate) base: u64,
    pub(crate) engine: Mutex<Weak<Engine>>,
    pub(crate) registry: Arc<Mutex<Vec<Weak<Engine>>>>,
    pub(crate) stopped: Mutex<Vec<u64>>,
}

#[async_trait]
impl Clock for Pod {
    fn now(&self) -> Moment {
        let local = self.shared.handle.now() * self.rate_ppm / 1_000_000;
        Moment::new(Duration::from_micros(self.base + local))
    }

    async fn sleep_until(&self, at: Moment) {
        let local = at
            .since(Moment::new(Duration::from_micros(self.base)))
            .as_micros() as u64;
        self.shared
            .handle
            .until(local.saturating_mul(1_000_000).div_ceil(self.rate_ppm))
            .await;
    }
}

impl Random for Pod {
    fn bits(&self) -> u128 {
        self.shared
            .with(|w| (u128::from(w.rng.next()) << 64) | u128::from(w.rng.next()))
    }
}

#[async_trait]
impl Remote for Pod {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        self.tier_step().await?;
        let read = self.shared.with(|w| w.tier_get(key));
        self.shared.delay(50, 800).await;
        Ok(read.map(|(revision, record)| Stored {
            revision: Revision(revision),
            record,
        }))
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        _: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        self.tier_step().await?;
        let expected = match expect {
            Expect::Absent => None,
            Expect::Revision(revision) => Some(revision.0),
        };
        let put = self
            .shared
            .with(|w| w.tier_put(key, expected, Some(record)));
        self.answer().await?;
        Ok(put.map_or(PutOutcome::Conflict, |revision| {
            PutOutcome::Stored(Revision(revision))
        }))
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        self.tier_step().await?;
        self.shared
            .with(|w| w.tier_put(key, Some(revision.0), None));
        self.answer().await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.tier_step().await
    }

    fn hint(&self, _: NameHash) {}

    async fn hinted(&self, _: NameHash) {
        std::future::pending().await
    }
}

impl Pod {
    async fn tier_step(&self) -> Result<(), RemoteError> {
        self.shared.delay(50, 800).await;
        match self.shared.with(|w| w.tier_away) {
            true => Err(RemoteError::Unavailable("away".into())),
            false => Ok(()),
        }
    }

    /// The answer after the deed; it may be lost.
    async fn answer(&self) -> Result<(), RemoteError> {
        self.shared.delay(50, 800).await;
        match self.shared.with(|w| w.lossy && w.rng.chance(5)) {
            true => Err(RemoteError::Unavailable("the answer was lost".into())),
            false => Ok(()),
        }
    }

    fn tell(&self, event: Event) {
        let number = self.number;
        self.shared.note(|| match &event {
            Event::Delivered(d) => format!(
                "pod {number} <- {} inc {} c {}",
                d.sequence, d.incarnation, d.consumer_sequence
            ),
            other => format!("pod {number} <- {other:?}"),
        });
        if let Some(engine) = self
            .engine
            .lock()
            .expect("no panic under the lock")
            .upgrade()
        {
            engine.event(event);
        }
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.handle.spawn(self.number, task);
    }

    /// Connects: what the driver does at start and after every outage.
    pub(crate) fn open(&self) {
        let opened = self.shared.with(|w| {
            w.links[self.number].generation += 1;
            let epochs = w
                .log
                .iter()
                .rev()
                .filter_map(|k| Record::decode(&k.append.payload).ok());
            let epoch = epochs.map(|r| r.body).find_map(|b| {
                if let Body::NewEpoch(e) = b {
                    Some(e)
                } else {
                    None
                }
            });
            let session_ttl = Duration::from_micros(TTL_US);
            let retention = Duration::from_secs(3600);
            Opened {
                epoch,
                first: w.first,
                last: w.last(),
                session_ttl,
                retention,
            }
        });
        self.tell(Event::Opened(opened));
    }

    pub(crate) fn lose(&self) {
        self.shared.with(|w| w.links[self.number].generation += 1);
        self.tell(Event::Lost("the link failed".into()));
    }

    async fn read(self: Arc<Self>, incarnation: u64, anchor: u64, session: SessionId) {
        let generation = self.shared.with(|w| w.links[self.number].generation);
        let (mut sequence, mut count) = (anchor.saturating_sub(1), 0);
        loop {
            let changed = self.shared.changed.notified();
            self.shared.delay(20, 700).await;
            let stopped = self
                .stopped
                .lock()
                .expect("no panic under the lock")
                .contains(&incarnation);
            if stopped
                || self
                    .shared
                    .with(|w| w.links[self.number].generation != generation)
            {
                return;
            }
            if !self
                .shared
                .with(|w| w.links[self.number].receives && w.links[self.number].reads)
            {
                self.shared.delay(5_000, 50_000).await;
                continue;
            }
            if let Some(delivery) = self.next(incarnation, session, &mut sequence, &mut count) {
                if !self.shared.with(|w| w.lossy && w.rng.chance(1)) {
                    self.tell(Event::Delivered(delivery));
                }
                continue;
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = self.shared.handle.sleep(900_000) => {
                    self.tell(Event::Idle { incarnation, consumer_sequence: count });
                }
            }
        }
    }

    fn next(
        &self,
        incarnation: u64,
        session: SessionId,
        sequence: &mut u64,
        count: &mut u64,
    ) -> Option<Delivery> {
        self.shared.with(|w| {
            *sequence = (*sequence).max(w.first - 1);
            while *sequence < w.last() {
                *sequence += 1;
                let kept = &w.log[*sequence as usize - 1];
                if matches!(kept.append.subject, Subject::Beats(of) if of != session) {
                    continue;
                }
                *count += 1;
                return Some(Delivery {
                    incarnation,
                    consumer_sequence: *count,
                    sequence: *sequence,
                    time: kept.time,
                    id: kept.append.id,
                    expires: kept.expires,
                    payload: kept.append.payload.clone(),
                });
            }
            None
        })
    }

    async fn backfill(self: Arc<Self>, from: u64, to: u64) {
        self.shared.delay(500, 5_000).await;
        let filled = self.shared.with(|w| {
            let kept = w.log.iter().enumerate().map(|(i, k)| (i as u64 + 1, k));
            let wanted = kept.filter(|(s, k)| *s >= from.max(w.first) && *s < to && !k.expires);
            let records = wanted
                .map(|(s, k)| (s, k.time, k.append.payload.clone()))
                .collect();
            Backfilled {
                from,
                to,
                first: w.first,
                records,
            }
        });
        self.tell(Event::Backfilled(filled));
    }

    async fn first(self: Arc<Self>, token: u64) {
        self.shared.delay(50, 1_000).await;
        let (up, first) = self
            .shared
            .with(|w| (w.links[self.number].receives, w.first));
        if up {
            self.tell(Event::First { token, first });
        }
    }

    /// A plain message to every pod, or to the one that listens for `to`.
    fn post(self: &Arc<Self>, to: Option<SessionId>, event: Event) {
        for number in 0..PODS {
            if to.is_some_and(|to| self.shared.with(|w| w.sessions.get(&to) != Some(&number))) {
                continue;
            }
            let (pod, event) = (Arc::clone(self), event.clone());
            // Runs in the receiver: a paused pod hears it when it wakes.
            self.shared.handle.spawn(number, async move {
                pod.shared.delay(50, 1_500).await;
                let arrives = pod.shared.with(|w| {
                    w.links[number].receives
                        && w.links[pod.number].sends
                        && !(w.lossy && w.rng.chance(5))
                });
                let engine =
                    pod.registry.lock().expect("no panic under the lock")[number].upgrade();
                if let (true, Some(engine)) = (arrives, engine) {
                    engine.event(event);
                }
            });
        }
    }
}

/// The log as one pod reaches it.
pub(crate) struct PodLog(pub(crate) Arc<Pod>);

#[async_trait]
impl Log for PodLog {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn append(&self, append: Append) -> Appended {
        let (shared, number) = (&self.0.shared, self.0.number);
        if !shared.with(|w| w.links[number].sends) && shared.chance(50) {
            return Appended::NotSent("no connection".into());
        }
        shared.delay(50, 2_000).await;
        if !shared.with(|w| w.links[number].sends) {
            shared.handle.sleep(400_000).await;
            return Appended::Unknown("the request was lost".into());
        }
        let now = shared.handle.now();
        let outcome = shared.with(|w| w.commit(&append, now));
        shared.note(|| {
            format!(
                "pod {number} appended {:?} {outcome:?}",
                Record::decode(&append.payload).map(|r| r.body)
            )
        });
        shared.changed.notify_waiters();
        if shared.with(|w| !w.links[number].receives || (w.lossy && w.rng.chance(5))) {
            shared.handle.sleep(400_000).await;
            return Appended::Unknown("the answer was lost".into());
        }
        shared.delay(50, 1_000).await;
        outcome
    }

    async fn last(&self, subject: Subject) -> Result<u64, String> {
        self.0.shared.delay(50, 1_000).await;
        Ok(self.0.shared.with(|w| w.last_on(subject)))
    }

    fn command(&self, command: Command) {
        let pod = Arc::clone(&self.0);
        pod.shared
            .note(|| format!("pod {} -> {command:?}", pod.number));
        match command {
            Command::Read {
                incarnation,
                anchor,
                session,
            } => {
                let task = Arc::clone(&pod).read(incarnation, anchor, session);
                pod.spawn(task);
            }
            Command::Stop { incarnation } => pod
                .stopped
                .lock()
                .expect("no panic under the lock")
                .push(incarnation),
            Command::Backfill { from, to } => pod.spawn(Arc::clone(&pod).backfill(from, to)),
            Command::CheckFirst { token } => pod.spawn(Arc::clone(&pod).first(token)),
            Command::Say {
                to,
                session,
                epoch,
                sequence,
            } => {
                pod.post(
                    Some(to),
                    Event::Word {
                        session,
                        epoch,
                        sequence,
                    },
                );
            }
            Command::Ask { by } => pod.post(None, Event::Asked { by }),
            Command::Listen { session } => pod
                .shared
                .with(|w| _ = w.sessions.insert(session, pod.number)),
            Command::Reopen => {
                let again = Arc::clone(&pod);
                pod.spawn(async move {
                    again.shared.delay(1_000, 20_000).await;
                    again.open();
                });
            }
        }
    }
}
