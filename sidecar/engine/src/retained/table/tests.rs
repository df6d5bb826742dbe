//! The table alone: order, doubts and terms.

use super::*;
use crate::key::Namespace;
use crate::references::Owner;

fn key(name: &str) -> Key {
    Key::new(Namespace::new("").unwrap(), name).unwrap()
}

fn reference(k: &str, owner: &str, drop_at_zero: bool) -> Reference {
    Reference {
        key: key(k),
        owner: Owner::new(owner).unwrap(),
        drop_at_zero,
        pod: "p".into(),
    }
}

fn at(seconds: u64) -> Moment {
    Moment::new(Duration::from_secs(1000 + seconds))
}

fn present(sequence: u64, reference: Reference, seconds: u64) -> Present {
    Present {
        sequence,
        reference,
        left: Duration::from_secs(seconds),
    }
}

fn gone(sequence: u64, of: &Reference, released: bool) -> Gone {
    Gone {
        sequence,
        id: of.id(),
        reference: released.then(|| of.clone()),
    }
}

fn apply(table: &mut Table, event: Event, now: u64) -> Vec<Change> {
    table.apply(event, at(now), &mut || 0)
}

fn state(present: Vec<Present>, gone: Vec<Gone>, sequence: u64) -> Event {
    Event::State {
        present,
        gone,
        sequence,
    }
}

/// Who was to be dropped, and by which record.
fn drops(table: &mut Table) -> Vec<(String, u64)> {
    let due = std::iter::from_fn(|| table.drops.next(at(1_000_000)));
    let mut due: Vec<_> = due
        .map(|drop| (drop.key.name().to_owned(), drop.ended_by))
        .collect();
    due.sort();
    due
}

#[test]
fn a_term_that_passed_here_does_not_count_and_is_ended_by_its_record() {
    let mut table = Table::new();
    let (a, b) = (reference("k", "a", true), reference("k", "b", false));
    let hash = key("k").hash();
    let pinned = apply(&mut table, Event::Present(present(1, a.clone(), 10)), 0);
    assert_eq!(pinned, [Change::Pin(hash)]);
    apply(&mut table, Event::Present(present(2, b.clone(), 20)), 0);
    assert_eq!(table.count(hash, at(9)), 2);
    assert_eq!(table.count(hash, at(10)), 1);
    assert_eq!(table.sweep(at(15), &mut || 0), []);
    // Neither end was told: both pass, unpinned at once, ended later.
    assert_eq!(table.sweep(at(20), &mut || 0), [Change::Unpin(hash)]);
    assert_eq!(table.len(), 1, "a was given up");
    assert_eq!(drops(&mut table), []);
    // b's end comes after all: it did not want the entry dropped.
    apply(&mut table, Event::Gone(gone(3, &b, false)), 21);
    assert_eq!((table.len(), drops(&mut table)), (0, vec![]));
}

#[test]
fn the_record_that_ended_the_last_one_names_the_drop() {
    let mut table = Table::new();
    let (a, b) = (reference("k", "a", true), reference("k", "b", true));
    for (n, one) in [&a, &b].into_iter().enumerate() {
        let present = present(n as u64 + 1, one.clone(), 10);
        apply(&mut table, Event::Present(present), 0);
    }
    apply(&mut table, Event::Gone(gone(7, &a, false)), 10);
    assert_eq!(drops(&mut table), []);
    apply(&mut table, Event::Gone(gone(9, &b, true)), 10);
    assert_eq!(drops(&mut table), [("k".to_owned(), 9)]);
    assert_eq!(table.processed(), 9);
    // A new reference is in time.
    apply(&mut table, Event::Present(present(10, a, 10)), 11);
    assert_eq!(drops(&mut table), []);
}

#[test]
fn a_state_replaces_everything_and_what_it_lacks_has_ended() {
    let mut table = Table::new();
    apply(&mut table, state(vec![], vec![], 0), 0);
    let [a, b, c] = ["a", "b", "c"].map(|k| reference(k, "o", true));
    for (n, one) in [&a, &b, &c].into_iter().enumerate() {
        let present = present(n as u64 + 1, one.clone(), 100);
        apply(&mut table, Event::Present(present), 0);
    }
    apply(&mut table, Event::Away("x".into()), 1);
    assert_eq!((table.away(), table.len()), (Some("x"), 3));
    let d = reference("d", "o", true);
    let changes = apply(
        &mut table,
        Event::State {
            present: vec![present(2, b, 50)],
            // c by its term; d by a pod that this one never heard of; one long ago.
            gone: vec![
                gone(8, &c, false),
                gone(9, &d, true),
                gone(3, &reference("e", "o", true), true),
            ],
            sequence: 9,
        },
        5,
    );
    assert_eq!((table.away(), table.len(), table.processed()), (None, 1, 9));
    let unpinned = |k: &str| changes.contains(&Change::Unpin(key(k).hash()));
    assert!(unpinned("a") && !unpinned("b") && unpinned("c"));
    let expected = [("a", 1), ("c", 8), ("d", 9)];
    let expected = expected.map(|(k, by)| (k.to_owned(), by));
    assert_eq!(drops(&mut table), expected);
}

#[test]
fn what_is_there_with_nothing_left_of_its_term_is_unpinned() {
    let mut table = Table::new();
    let (a, hash) = (reference("k", "a", false), key("k").hash());
    apply(&mut table, Event::Present(present(1, a.clone(), 10)), 0);
    // The server has not ended it yet.
    let left = present(1, a.clone(), 0);
    let changes = apply(&mut table, state(vec![left], vec![], 1), 9);
    assert_eq!(changes, [Change::Unpin(hash)]);
    assert_eq!(table.count(hash, at(9)), 0);
    assert_eq!(apply(&mut table, Event::Gone(gone(2, &a, false)), 10), []);
    assert_eq!(table.len(), 0);
}

#[test]
fn of_releases_that_nobody_here_saw_the_last_one_decides() {
    let (a, b) = (reference("k", "a", true), reference("k", "b", false));
    let ends =
        |last: &Reference, first: &Reference| vec![gone(11, last, true), gone(10, first, true)];
    // A pod that comes only now drops nothing: others have followed.
    for gone in [ends(&a, &b), ends(&b, &a)] {
        let mut table = Table::new();
        apply(&mut table, state(vec![], gone, 11), 0);
        assert_eq!(drops(&mut table), []);
    }
    // Neither was known here, or both were: it is the same.
    for known in [
        vec![],
        vec![present(1, a.clone(), 90), present(2, b.clone(), 90)],
    ] {
        let after = |gone: Vec<Gone>| {
            let mut table = Table::new();
            apply(&mut table, state(known.clone(), vec![], 2), 0);
            apply(&mut table, state(vec![], gone, 11), 1);
            drops(&mut table)
        };
        assert_eq!(after(ends(&b, &a)), []);
        assert_eq!(after(ends(&a, &b)), [("k".to_owned(), 11)]);
    }
    // A term that passed last says not whose it was: others followed it.
    let mut table = Table::new();
    apply(&mut table, state(vec![], vec![], 2), 0);
    let ends = vec![gone(10, &a, true), gone(11, &b, false)];
    apply(&mut table, state(vec![], ends, 11), 1);
    assert_eq!(drops(&mut table), []);
}
