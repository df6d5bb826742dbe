//! Histories that a register can and cannot have had, by hand and at random.

use super::history::Said;
use super::register::Op;
use super::{Ended, History, Illegal, Intent, MOST, Verdict, porcupine, search};
use proptest::prelude::*;
use std::time::Duration;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A history of calls (pod, intent, began, ended and how).
type Calls<'a> = &'a [(usize, Intent, u64, Option<(u64, Ended)>)];

fn check(calls: Calls) -> Verdict {
    let mut history = History::default();
    for &(who, intent, began, ended) in calls {
        let ticket = history.begin(who, intent, at(began)).expect("room");
        if let Some((ended, how)) = ended {
            history.end(&ticket, how, at(ended));
        }
    }
    let verdict = history.check();
    history.compare(&verdict);
    verdict
}

fn illegal(calls: Calls) -> Illegal {
    match check(calls) {
        Verdict::Illegal(illegal) => illegal,
        other => panic!("{other:?}"),
    }
}

use Ended::{Found, Nothing, Wrote};
use Intent::{Read, Set};

fn swap(expected: u64, new: u64) -> Intent {
    let expected = Some(expected);
    Intent::Swap { expected, new }
}

#[test]
fn writes_and_reads_one_after_the_other_have_an_order() {
    let calls = [
        (0, Read, 0, Some((1, Nothing))),
        (0, Set(1), 2, Some((3, Wrote))),
        (1, Read, 4, Some((5, Found(1)))),
        (1, swap(1, 2), 6, Some((7, Wrote))),
        (0, Read, 8, Some((9, Found(2)))),
    ];
    assert_eq!(check(&calls), Verdict::Linearizable);
}

#[test]
fn missing_is_always_legal_and_absent_holds_whatever_was_there() {
    let absent = Intent::Swap {
        expected: None,
        new: 2,
    };
    let calls = [
        (0, Set(1), 0, Some((1, Wrote))),
        (1, Read, 2, Some((3, Nothing))),
        (1, Read, 4, Some((5, Found(1)))),
        (0, absent, 6, Some((7, Wrote))),
        (1, swap(1, 3), 8, Some((9, Nothing))),
        (1, Read, 10, Some((11, Found(2)))),
    ];
    assert_eq!(check(&calls), Verdict::Linearizable);
}

#[test]
fn a_lost_update_has_none() {
    // What an unconditional append would allow: two winners on one version.
    let calls = [
        (0, Set(1), 0, Some((1, Wrote))),
        (0, swap(1, 2), 2, Some((9, Wrote))),
        (1, swap(1, 3), 3, Some((8, Wrote))),
    ];
    let illegal = illegal(&calls);
    assert!(illegal.stuck.contains("Swap"), "{illegal}");
    assert_eq!(illegal.calls.len(), 3);
}

#[test]
fn a_strong_read_of_what_was_overwritten_has_none() {
    // What a read without its barrier would return on a pod that lags.
    let calls = [
        (0, Set(1), 0, Some((1, Wrote))),
        (0, Set(2), 2, Some((3, Wrote))),
        (1, Read, 4, Some((5, Found(1)))),
    ];
    let illegal = illegal(&calls);
    assert!(illegal.stuck.contains("pod 1 Read(1)"), "{illegal}");
    assert!(illegal.stuck.contains("Some(2)"), "{illegal}");
}

#[test]
fn a_read_during_the_write_may_return_either() {
    for value in [1, 2] {
        let calls = [
            (0, Set(1), 0, Some((1, Wrote))),
            (0, Set(2), 2, Some((6, Wrote))),
            (1, Read, 3, Some((4, Found(value)))),
        ];
        assert_eq!(check(&calls), Verdict::Linearizable, "{value}");
    }
}

#[test]
fn an_older_value_does_not_come_back_once_a_newer_was_read() {
    let calls = [
        (0, Set(1), 0, Some((1, Wrote))),
        (0, Set(2), 2, Some((20, Wrote))),
        (1, Read, 3, Some((4, Found(2)))),
        (2, Read, 5, Some((6, Found(1)))),
    ];
    assert!(illegal(&calls).stuck.contains("pod 2"));
}

#[test]
fn a_write_without_an_answer_may_happen_late_or_never() {
    let late = [
        (0, Set(1), 0, None),
        (1, Set(2), 2, Some((3, Wrote))),
        (1, Read, 4, Some((5, Found(2)))),
        (1, Read, 6, Some((7, Found(1)))),
    ];
    assert_eq!(check(&late), Verdict::Linearizable);
    let never = [late[0], late[1], late[2]];
    assert_eq!(check(&never), Verdict::Linearizable);
}

#[test]
fn a_write_without_an_answer_does_not_happen_twice() {
    let calls = [
        (0, Set(1), 0, None),
        (1, Read, 2, Some((3, Found(1)))),
        (1, Set(2), 4, Some((5, Wrote))),
        (1, Read, 6, Some((7, Found(1)))),
    ];
    illegal(&calls);
}

#[test]
fn a_swap_without_an_answer_happens_only_on_what_it_expected() {
    let on = |expected| {
        [
            (0, Set(1), 0, Some((1, Wrote))),
            (0, swap(expected, 3), 2, None),
            (1, Read, 4, Some((5, Found(3)))),
        ]
    };
    assert_eq!(check(&on(1)), Verdict::Linearizable);
    illegal(&on(7));
}

#[test]
fn a_value_that_nobody_wrote_has_none() {
    illegal(&[(0, Read, 0, Some((1, Found(9))))]);
}

#[test]
fn a_history_ends_where_the_search_ends() {
    let mut history = History::default();
    for value in 0..MOST as u64 {
        let ticket = history.begin(0, Set(value), at(value)).expect("room");
        history.end(&ticket, Wrote, at(value));
    }
    assert!(history.is_full() && history.begin(0, Read, at(999)).is_none());
    assert_eq!(history.check(), Verdict::Linearizable);
}

/// Up to ten calls at random on values 0 to 3, which are written at most once.
fn any_history() -> impl Strategy<Value = Vec<Said>> {
    let call = (0..4_u8, 0..4_u64, 0..4_u64, 0..40_u64, 0..12_u64, 0..5_u8);
    proptest::collection::vec(call, 1..10).prop_map(|calls| {
        let mut written = 0;
        let mut said = |(kind, a, b, began, took, answered): (u8, u64, u64, u64, u64, u8)| {
            let op = match kind {
                0 if written < 4 => Op::Set(written),
                1 if written < 4 => Op::Swap {
                    expected: (a < 3).then_some(b),
                    new: written,
                },
                _ => Op::Read(a),
            };
            written += u64::from(op.written().is_some());
            let unanswered = answered == 0 && op.written().is_some();
            Said {
                who: 0,
                op,
                began: at(began),
                ended: (!unanswered).then_some(at(began + took)),
            }
        };
        calls.into_iter().map(&mut said).collect()
    })
}

/// As a register could have gone through them: each call happens at a moment
/// of its own, between its beginning and its end.
fn real_history() -> impl Strategy<Value = Vec<Said>> {
    let call = (0..3_u8, any::<bool>(), 0..30_u64, 0..30_u64, 0..6_u8);
    proptest::collection::vec(call, 1..40).prop_map(|calls| {
        let (mut state, mut said) = (None, Vec::new());
        for (i, (kind, absent, before, after, answered)) in calls.into_iter().enumerate() {
            let now = 100 + 10 * i as u64;
            let (new, value) = (i as u64, state);
            let op = match (kind, value) {
                (0, Some(value)) => Op::Read(value),
                (1, _) => Op::Swap {
                    expected: value.filter(|_| !absent),
                    new,
                },
                _ => Op::Set(new),
            };
            state = op.step(state).expect("it was made for this state");
            let unanswered = answered == 0 && op.written().is_some();
            said.push(Said {
                who: 0,
                op,
                began: at(now - before),
                ended: (!unanswered).then_some(at(now + after)),
            });
        }
        said
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_search_says_what_porcupine_says(said in any_history()) {
        let own = search::search(&said) == Verdict::Linearizable;
        prop_assert_eq!(own, porcupine::is_linearizable(&said));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_a_register_went_through_has_an_order(said in real_history()) {
        prop_assert_eq!(search::search(&said), Verdict::Linearizable);
        prop_assert!(porcupine::is_linearizable(&said));
    }

    #[test]
    fn a_read_of_a_value_from_before_two_answered_writes_has_none(
        said in real_history(),
        old in 0_u64..40,
    ) {
        let end = said.iter().filter_map(|s| s.ended).max().unwrap_or_default();
        let mut said = said;
        let mut add = |op, began, ended| said.push(Said {
            who: 1,
            op,
            began: end + at(began),
            ended: Some(end + at(ended)),
        });
        add(Op::Set(1_000), 1, 2);
        add(Op::Read(old), 3, 4);
        // Only a write without an answer can still bring another value.
        let late = said.iter().any(|s| s.ended.is_none() && s.op.written() == Some(old));
        let own = search::search(&said);
        prop_assert_eq!(own.clone() == Verdict::Linearizable, porcupine::is_linearizable(&said));
        prop_assert!(late || own != Verdict::Linearizable);
    }
}
