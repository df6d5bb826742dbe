//! How the log is read by one pod: incarnations, replays, first sequences.

use super::Pod;
use crate::directed::Consumers;
use std::sync::Arc;
use unstale_engine::coherence::record::SessionId;
use unstale_engine::log::{Delivery, Event};

/// Deliveries that a dead incarnation makes at most.
const AFTERLIFE: u32 = 40;

/// One consumer of the log.
struct Consumer {
    incarnation: u64,
    generation: u64,
    session: SessionId,
    anchor: u64,
    sequence: u64,
    count: u64,
}

impl Pod {
    /// Delivers to one incarnation until it is void.
    pub(super) async fn read(
        self: Arc<Self>,
        incarnation: u64,
        generation: u64,
        anchor: u64,
        session: SessionId,
    ) {
        let mut consumer = Consumer {
            incarnation,
            generation,
            session,
            anchor,
            sequence: anchor.saturating_sub(1),
            count: 0,
        };
        let mut afterlife = AFTERLIFE;
        loop {
            let changed = self.shared.changed.notified();
            self.pace().await;
            self.mishap(&mut consumer);
            if self.is_void(&consumer) {
                let twice = self.shared.link(self.number, |link| link.duplicates > 0);
                if !twice || afterlife == 0 {
                    return;
                }
                afterlife -= 1;
            }
            let reads = |link: &mut crate::world::Link| link.receives() && link.no_reads == 0;
            if !self.shared.link(self.number, reads) {
                self.shared.delay(5_000, 50_000).await;
                continue;
            }
            if let Some(delivery) = self.next(&mut consumer) {
                self.deliver(delivery);
                continue;
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = self.shared.handle.sleep(900_000) => self.tell(Event::Idle {
                    incarnation,
                    consumer_sequence: consumer.count,
                }),
            }
        }
    }

    /// I-15: at most the current incarnation and the next one live.
    pub(super) fn count(&self, incarnation: u64, generation: u64) {
        let mut asked_for = self.asked_for.lock().expect("no panic under the lock");
        let stopped = self.stopped.lock().expect("no panic under the lock");
        asked_for.retain(|(number, of)| *of == generation && !stopped.contains(number));
        asked_for.push((incarnation, generation));
        if asked_for.len() > 2 {
            let what = format!("pod {} reads {asked_for:?} at once", self.number);
            self.shared.violate("I-15", None, what);
        }
    }

    async fn pace(&self) {
        match self.shared.link(self.number, |link| link.trickle) {
            0 => self.shared.delay(20, 700).await,
            _ => {
                let longest = self.shared.with(|w| w.mix.trickle);
                self.shared.delay(20_000, longest).await;
            }
        }
    }

    fn is_void(&self, consumer: &Consumer) -> bool {
        let stopped = self.stopped.lock().expect("no panic under the lock");
        stopped.contains(&consumer.incarnation)
            || self.shared.link(self.number, |link| link.generation) != consumer.generation
    }

    /// Hands a delivery over; it may be lost on the way, or come twice.
    fn deliver(&self, delivery: Delivery) {
        let twice = self
            .shared
            .with(|w| w.links[self.number].duplicates > 0 && w.rng.chance(4));
        if twice {
            self.tell(Event::Delivered(delivery.clone()));
        }
        if !self.shared.loses(1) {
            self.tell(Event::Delivered(delivery));
        }
    }

    fn next(&self, consumer: &mut Consumer) -> Option<Delivery> {
        let now = self.shared.handle.now();
        self.shared.with(|w| {
            let (sequence, kept) = w.log.after(consumer.sequence, consumer.session, now)?;
            consumer.sequence = sequence;
            consumer.count += 1;
            Some(Delivery {
                incarnation: consumer.incarnation,
                consumer_sequence: consumer.count,
                sequence,
                time: kept.time(),
                id: kept.append.id,
                expires: kept.expires,
                payload: kept.append.payload.clone(),
            })
        })
    }

    /// What happens to a consumer behind its reader's back, in directed
    /// schedules: the server makes it again after a failure and counts from 1,
    /// and what comes first is lost on the way, so that the numbers fit.
    fn mishap(&self, consumer: &mut Consumer) {
        let generation = self.shared.link(self.number, |link| link.generation);
        let strikes = self.shared.handle.now() < self.shared.with(|w| w.mix.size.over());
        match self.shared.with(|w| w.mix.extra.consumers) {
            Consumers::Sound => {}
            // It went on while the client was away.
            Consumers::Survive if consumer.generation != generation => {
                consumer.generation = generation;
                consumer.sequence = self.shared.with(|w| w.log.last());
            }
            Consumers::CountAnew if strikes && self.shared.chance(2) => {
                let lost = consumer.count;
                (consumer.sequence, consumer.count) = (consumer.anchor.saturating_sub(1), 0);
                while consumer.count < lost && self.next(consumer).is_some() {}
                consumer.count = lost;
            }
            Consumers::End if strikes && self.shared.chance(2) => {
                self.tell(Event::Broken {
                    incarnation: consumer.incarnation,
                    why: "the consumer is gone".into(),
                });
                consumer.sequence = self.shared.with(|w| w.log.last().max(consumer.sequence));
            }
            Consumers::Survive | Consumers::CountAnew | Consumers::End => {}
        }
    }

    pub(super) async fn backfill(self: Arc<Self>, from: u64, to: u64) {
        let generation = self.shared.link(self.number, |link| link.generation);
        // A long log takes long to replay.
        let longest = if self.shared.chance(20) {
            900_000
        } else {
            5_000
        };
        self.shared.delay(500, longest).await;
        let filled = self.shared.with(|w| w.log.backfill(from, to));
        self.shared.delay(50, 1_000).await;
        if self.is_up(generation) {
            self.tell(Event::Backfilled(filled));
        }
    }

    pub(super) async fn first(self: Arc<Self>, token: u64) {
        let generation = self.shared.link(self.number, |link| link.generation);
        self.shared.delay(50, 1_000).await;
        let first = self.shared.with(|w| w.log.first);
        self.shared.delay(50, 1_000).await;
        if self.is_up(generation) {
            self.tell(Event::First { token, first });
        }
    }

    fn is_up(&self, generation: u64) -> bool {
        self.shared.link(self.number, |link| {
            link.receives() && link.generation == generation
        })
    }
}
