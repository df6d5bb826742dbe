//! What was processed is verified by questions to the log, or not at all.

use super::*;

/// Two writes processed while the first one's question is on its way.
#[test]
fn what_is_wanted_while_a_question_is_under_way_is_asked_for_after_it() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    r.seq += 5; // beats of others
    r.seq += 1;
    let first = r.seq;
    r.deliver(first, RecordId(70), false, rec(70, 9, Body::Leave));
    r.m.verify(at(r.now)); // confirmed() of the first
    r.drain();
    r.seq += 1;
    let second = r.seq;
    r.deliver(second, RecordId(71), false, rec(71, 9, Body::Leave));
    let asked = r.commands.len();
    r.m.verify(at(r.now)); // confirmed() of the second
    r.drain();
    assert_eq!(r.commands.len(), asked, "one question at a time");
    r.answer_first(1);
    assert!(r.m.progress().verified >= first);
    let again = r.commands.len() > asked;
    assert!(
        r.m.progress().verified >= second || again,
        "nobody asks again for {second}: verified {}",
        r.m.progress().verified
    );
}

/// A gap before an own write that was processed; begun anew before the answer.
#[test]
fn beginning_anew_verifies_nothing_that_was_processed() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    let p = r.m.position().unwrap();
    r.seq += 5; // among them the invalidation, discarded unread
    r.seq += 1;
    let n = r.seq;
    r.deliver(n, RecordId(70), false, rec(70, 9, Body::Leave)); // as the own Write
    r.m.verify(at(r.now));
    r.drain();
    r.m.event(Event::Lost("away".into()), at(r.now));
    r.m.event(opened(7, n + 3, n + 10), at(r.now)); // past the anchor
    r.drain();
    r.seq = n + 10;
    r.appends.retain(|a| {
        let record = Record::decode(&a.payload).unwrap();
        !matches!(record.body, Body::Join { .. }) || record.origin == r.m.session_id()
    });
    r.join();
    let progress = r.m.progress();
    let accepted =
        progress.epoch == Some(Epoch(7)) && progress.verified >= n && p.sequence >= r.m.gap();
    assert!(
        !accepted,
        "verified {} gap {} p {} n {n}",
        progress.verified,
        r.m.gap(),
        p.sequence
    );
}

/// Answers were given while the log was asked, too.
#[test]
fn what_was_told_until_a_gap_was_found_is_doubted() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    r.seq += 5; // discarded unread
    r.seq += 1;
    let asked = r.seq;
    r.deliver(asked, RecordId(70), false, rec(70, 9, Body::Leave));
    r.m.verify(at(r.now));
    r.drain();
    r.seq += 1;
    r.deliver(r.seq, RecordId(71), false, rec(71, 9, Body::Leave));
    assert_eq!(r.m.unsound(), 0);
    r.answer_first(asked);
    assert_eq!((r.m.gap(), r.m.unsound()), (asked, asked + 1));
}
