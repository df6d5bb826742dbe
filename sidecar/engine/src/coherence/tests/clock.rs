//! Log time when the server's clock is set, and the epoch that a log forgets.

use super::*;

/// Joined, the log replayed, and one beat echoed.
fn joined() -> Rig {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    r
}

#[test]
fn the_epoch_is_said_again_before_it_ages_out_of_the_log() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    // Less than retention/3: the record that opened the epoch is still there.
    r.now += 10 * 86_400_000;
    r.m.tick(at(r.now));
    r.drain();
    let again = r.take(|b| matches!(b, Body::SameEpoch(..)));
    let record = Record::decode(&again.payload).expect("a record");
    assert_eq!(
        (again.subject, record.epoch()),
        (Subject::Epochs, Some(Epoch(7)))
    );
    // Nothing if another epoch was declared meanwhile.
    assert_eq!(again.expect_last, Some(10));
}

#[test]
fn an_epoch_that_the_log_has_discarded_is_said_again_at_once() {
    let mut r = joined();
    r.now += 500;
    r.echo(LogTime(12_500_000), 12);
    r.now += 500;
    r.m.tick(at(r.now));
    r.drain();
    let again = r.take(|b| matches!(b, Body::SameEpoch(..)));
    // Nothing is left on the subject.
    assert_eq!(again.expect_last, Some(0));
}

#[test]
fn what_was_stored_later_than_it_is_here_is_not_believed() {
    let mut r = joined();
    let now = at(r.now);
    let mut facts = facts(11, 7);
    let here = r.m.log_time(now);
    facts.stored = here.plus(Duration::from_secs(3600));
    assert_eq!(
        r.m.judge(&facts, Source::Remote, now),
        Freshness::Unjudged,
        "its end is an hour later than this pod would see"
    );
    facts.stored = here;
    assert_eq!(r.m.judge(&facts, Source::Remote, now), Freshness::Fresh);
    // The own echo tells of the new time.
    facts.stored = here.plus(Duration::from_secs(3600));
    r.now += 500;
    r.echo(facts.stored, 1);
    let now = at(r.now);
    assert_eq!(r.m.judge(&facts, Source::Remote, now), Freshness::Fresh);
}

#[test]
fn a_clock_that_was_set_back_is_told_to_those_who_join() {
    let mut r = joined();
    let before = r.m.log_time(at(r.now));
    r.now += 500;
    r.echo(LogTime(1_000_000), 1);
    let told = r.take(|b| matches!(b, Body::SameEpoch(..)));
    let ahead = Record::decode(&told.payload).expect("a record").ahead();
    assert!(LogTime(1_000_000).plus(ahead) >= before.plus(Duration::from_millis(480)));
    // A joiner that has read this, or opened the log after, agrees.
    let mut joiner = Rig::new(1, 10);
    let Event::Opened(mut opened) = opened(7, 1, 20) else {
        unreachable!("it is what opened makes");
    };
    opened.ahead = ahead;
    joiner.m.event(Event::Opened(opened), at(joiner.now));
    joiner.drain();
    let join = joiner.take(|b| matches!(b, Body::Join { .. }));
    let s = joiner.ack(&join);
    joiner.deliver_stamped(LogTime(1_100_000), s, join.id, false, join.payload.clone());
    let theirs = joiner.m.log_time(at(joiner.now));
    assert!(theirs >= LogTime(1_000_000).plus(ahead));
}

#[test]
fn two_epochs_that_a_discarding_log_let_live_give_way_to_a_third() {
    let mut r = joined();
    // Whoever says so has not read the NewEpoch of this one.
    r.seq += 1;
    let (s, other) = (r.seq, Body::SameEpoch(Epoch(6), Duration::ZERO));
    r.deliver(s, RecordId(77), false, rec(77, 77, other));
    let third = r.take(|b| matches!(b, Body::NewEpoch(_)));
    assert_eq!(third.expect_last, Some(s));
}

#[test]
fn an_epoch_is_not_said_again_after_records_were_discarded_unread() {
    let mut r = joined();
    r.now += 500;
    // The NewEpoch of another pod may have been among them.
    r.echo(LogTime(12_500_000), 40);
    r.now += 500;
    r.m.tick(at(r.now));
    r.drain();
    let said = |a: &Append| Record::decode(&a.payload).expect("a record").epoch();
    assert_eq!(r.appends.iter().find_map(said), None);
    assert!(r.commands.contains(&Command::Reopen));
}
