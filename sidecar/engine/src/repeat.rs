//! An append without a definite answer is repeated until there is one.
//!
//! With the same id, so that the log takes it once, as long as the log can be
//! trusted with that: it forgets ids after a while, and one that it holds for an
//! attempt that was lost it never takes. Then another record does what this one
//! was to do. What the record covers stays covered here all the while.

use crate::append::{acked, give_up, its_turn};
use crate::clock::Moment;
use crate::coherence::record::{Body, Invalidation, Record, RecordId};
use crate::coherence::{Bug, Own};
use crate::engine::{Engine, lock};
use crate::key::{Key, Namespace};
use crate::log::{Append, Appended, Subject};
use crate::request::Mode;
use std::time::Duration;

/// A Write is not appended again after this: the log knows its id for 120 s,
/// and a second record of it would outrank what came between. An invalidation
/// only raises its floor again, so it takes the write's place.
const WRITE_AGAIN: Duration = Duration::from_secs(90);
/// An attempt that the log calls under way for longer than this may be lost.
const HELD: Duration = Duration::from_secs(2);
/// Between two attempts: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Repeats an append until it is processed here or is definitely not in the log.
pub(crate) async fn until_definite(engine: &Engine, mut append: Append) {
    its_turn(engine, append.id).await;
    let (mut wait, began, mut held) = (WAIT.0, engine.now(), None);
    while engine.ask(|machine, _| machine.is_open(append.id)) {
        match engine.ports.log.append(append.clone()).await {
            Appended::At(sequence) => return acked(engine, append.id, sequence),
            Appended::Conflict => return give_up(engine, append.id),
            Appended::Held => held = held.or(Some(engine.now())),
            // An earlier attempt may be in the log: only a definite answer ends it.
            Appended::NotSent(_) | Appended::Unknown(_) => {}
        }
        let jitter = Duration::from_millis((engine.ports.random.bits() % 50) as u64);
        let again = engine.now().plus(wait + jitter);
        let is_trusted = engine.options.bugs.has(Bug::HeldForEver);
        if is_over(&append, (began, held.filter(|_| !is_trusted)), again) {
            append = another(engine, append);
            held = None;
        }
        engine.ports.clock.sleep_until(again).await;
        wait = (wait * 2).min(WAIT.1);
    }
}

/// Whether the id may not be used `again`.
fn is_over(append: &Append, (began, held): (Moment, Option<Moment>), again: Moment) -> bool {
    let is_held = held.is_some_and(|since| again >= since.plus(HELD));
    let is_write = matches!(append.subject, Subject::Writes(_));
    is_held || is_write && again >= began.plus(WRITE_AGAIN)
}

/// What takes its place. The first may be in the log all the same.
fn another(engine: &Engine, append: Append) -> Append {
    let record = Record::decode(&append.payload).expect("it was encoded here");
    let id = RecordId(engine.ports.random.bits());
    match record.body {
        Body::Write(_) => invalidate_instead(engine, &append, (record, id)),
        _ => invalidate_again(engine, append, (record, id)),
    }
}

/// The same invalidation: it only raises its floors again. Who waits for the
/// first is told of this one.
fn invalidate_again(engine: &Engine, first: Append, (record, id): (Record, RecordId)) -> Append {
    let is_open = engine.with(|machine, _| {
        let is_open = machine.rename(first.id, id);
        let mut deciders = lock(&engine.deciders);
        if let Some(decider) = deciders.remove(&first.id).filter(|_| is_open) {
            deciders.insert(id, decider);
        }
        is_open
    });
    if !is_open {
        return first;
    }
    let payload = Record { id, ..record }.encode().into();
    Append {
        id,
        payload,
        ..first
    }
}

/// A write that may not be appended any more, and may be in the log: its key
/// stays covered here, and an invalidation of it goes into the log instead. What
/// was there before must not come back.
fn invalidate_instead(engine: &Engine, write: &Append, (record, id): (Record, RecordId)) -> Append {
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
    engine.with(|machine, _| machine.begin(id, own));
    give_up(engine, write.id);
    let body = Body::Invalidate(Invalidation {
        namespace: what.namespace,
        keys: vec![what.key],
        ..Invalidation::default()
    });
    let payload = Record { id, body, ..record }.encode().into();
    Append {
        id,
        subject: Subject::Records,
        payload,
        expect_last: None,
    }
}
