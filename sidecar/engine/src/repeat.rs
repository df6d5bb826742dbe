//! An append without a definite answer is repeated until there is one.
//!
//! With the same id, so that the log takes it once, as long as the log can be
//! trusted with that: it forgets ids after a while, and one that it holds for an
//! attempt that was lost it never takes. Then another record does what this one
//! was to do. What the record covers stays covered here all the while.

use crate::append::{acked, give_up, its_turn};
use crate::clock::Moment;
use crate::coherence::record::{Body, Invalidation, Record, RecordId};
use crate::coherence::{Bug, Decision, Own};
use crate::engine::{Engine, lock};
use crate::key::{Key, Namespace};
use crate::log::{Append, Appended, Subject};
use crate::request::Mode;
use std::time::Duration;

/// A Write is not appended again after this: the log knows its id for 120 s,
/// and a second record of it would outrank what came between. An invalidation
/// only raises its floor again, so it takes the write's place.
const WRITE_AGAIN: Duration = Duration::from_secs(90);
/// An attempt that the log has called under way for this long may be lost.
const HELD: Duration = Duration::from_secs(2);
/// And is asked about so often.
const WHILE_HELD: Duration = Duration::from_millis(250);
/// Between two attempts: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Repeats an append until it is processed here or is definitely not in the log.
pub(crate) async fn until_definite(engine: &Engine, append: Append) {
    its_turn(engine, append.id).await;
    let mut repeat = Repeat {
        engine,
        id: append.id,
        append,
        began: engine.now(),
        held: None,
        patience: HELD,
    };
    let mut wait = WAIT.0;
    while engine.ask(|machine, _| machine.is_open(repeat.id)) {
        match engine.ports.log.append(repeat.append.clone()).await {
            Appended::At(sequence) => return acked(engine, repeat.id, sequence),
            Appended::Conflict => return give_up(engine, repeat.id),
            Appended::Held if repeat.is_lost() => {
                repeat.say_anew();
                continue;
            }
            Appended::Held => wait = wait.min(WHILE_HELD),
            // An earlier attempt may be in the log: only a definite answer ends it.
            Appended::NotSent(_) | Appended::Unknown(_) => repeat.held = None,
        }
        let jitter = Duration::from_millis((engine.ports.random.bits() % 50) as u64);
        let again = engine.now().plus(wait + jitter);
        if repeat.is_write() && again >= repeat.began.plus(WRITE_AGAIN) {
            repeat.say_anew();
        }
        engine.ports.clock.sleep_until(again).await;
        wait = (wait * 2).min(WAIT.1);
    }
}

struct Repeat<'a> {
    engine: &'a Engine,
    /// What is open here.
    id: RecordId,
    /// What is appended for it.
    append: Append,
    began: Moment,
    /// Since when the log has said nothing but that it is under way.
    held: Option<Moment>,
    /// How long it may. A log that is merely slow is not to be told more and more.
    patience: Duration,
}

impl Repeat<'_> {
    fn is_write(&self) -> bool {
        matches!(self.append.subject, Subject::Writes(_))
    }

    /// The log says that it is under way: whether that is taken for lost.
    fn is_lost(&mut self) -> bool {
        let now = self.engine.now();
        let since = *self.held.get_or_insert(now);
        now >= since.plus(self.patience) && !self.engine.options.bugs.has(Bug::HeldForEver)
    }

    /// From now on under another id. The first may be in the log all the same.
    fn say_anew(&mut self) {
        let record = Record::decode(&self.append.payload).expect("it was encoded here");
        let id = RecordId(self.engine.ports.random.bits());
        match record.body {
            Body::Write(_) => {
                if let Some(append) = invalidate_instead(self.engine, self.id, (record, id)) {
                    (self.id, self.append) = (id, append);
                }
            }
            // It only raises its floors again.
            _ => {
                self.engine.with(|machine, _| machine.also(self.id, id));
                self.append.id = id;
                self.append.payload = Record { id, ..record }.encode().into();
            }
        }
        self.held = None;
        self.patience *= 2;
    }
}

/// A write that may not be appended any more, and may be in the log: its key
/// stays covered here, and an invalidation of it goes into the log instead. What
/// was there before must not come back. None: it is decided.
fn invalidate_instead(
    engine: &Engine,
    write: RecordId,
    (record, id): (Record, RecordId),
) -> Option<Append> {
    let Body::Write(what) = record.body else {
        unreachable!("writes go on their own subjects");
    };
    let namespace = Namespace::new(&what.namespace).expect("it was checked");
    let key = Key::new(namespace.clone(), &what.key).expect("it was checked");
    let own = Own {
        namespace,
        names: vec![key.hash()],
        prefixes: Vec::new(),
        all: false,
        mode: Mode::Hard,
        answered: true,
        check: None,
    };
    let is_open = engine.with(|machine, _| {
        let is_open = machine.is_open(write);
        if is_open {
            machine.begin(id, own);
        }
        is_open
    });
    if !is_open {
        return None;
    }
    if let Some(decider) = lock(&engine.deciders).remove(&write) {
        // Nobody may want to know.
        let _ = decider.send(Decision::Unknown);
    }
    give_up(engine, write);
    let body = Body::Invalidate(Invalidation {
        namespace: what.namespace,
        keys: vec![what.key],
        min_source_version: what.source_version,
        ..Invalidation::default()
    });
    let payload = Record { id, body, ..record }.encode().into();
    Some(Append {
        id,
        subject: Subject::Records,
        payload,
        expect_last: None,
    })
}
