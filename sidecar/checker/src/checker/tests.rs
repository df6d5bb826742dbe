//! Each rule catches its lie, and binds nobody whom it does not bind.

use super::*;

const D: Duration = Duration::from_secs(16);
const ONE: &str = "00000000000000e1-7";
const TWO: &str = "00000000000000e2-9";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn checker() -> Checker {
    let mut checker = Checker::new(Names::new("", 4, 2), 2, D);
    assert_eq!(checker.saw(ONE, at(0)), Some("the first"));
    checker
}

/// Key 1 changes and pod 0 answers an invalidation of it at `answered`.
fn invalidated(checker: &mut Checker, reached: Reached, answered: u64) -> u64 {
    let value = checker.change(1);
    let began = checker.begin(0, at(answered));
    checker.promised(&began, &[(1, value)], reached, ONE, at(answered));
    value
}

/// The rule broken by a read of key 1 that returns this value.
fn read(checker: &mut Checker, pod: usize, when: u64, value: u64, fresh: bool) -> Option<&str> {
    let began = checker.begin(pod, at(when));
    let required = checker.required(&began, &[1])[0];
    let text = checker.names().text(1, value);
    let before = checker.broken().len();
    checker.judge(&began, (1, required), &text, fresh);
    checker.broken().get(before).map(|broken| broken.rule)
}

#[test]
fn after_fleet_no_pod_calls_an_older_value_fresh() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Fleet, 5);
    assert_eq!(read(&mut checker, 1, 4, 1, true), None);
    assert_eq!(read(&mut checker, 1, 6, 2, true), None);
    assert_eq!(read(&mut checker, 1, 6, 1, false), None);
    let broken = read(&mut checker, 1, 6, 1, true);
    assert_eq!(broken, Some("I-1 FLEET had returned OK"));
    assert!(checker.broken()[0].is_stale());
}

#[test]
fn a_read_that_began_before_the_answer_owes_nothing() {
    let mut checker = checker();
    let began = checker.begin(1, at(4));
    let required = checker.required(&began, &[1])[0];
    invalidated(&mut checker, Reached::Fleet, 5);
    checker.judge(&began, (1, required), "g1:1:1", true);
    assert_eq!(checker.broken(), []);
}

#[test]
fn after_log_other_pods_have_d_and_no_more() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Log, 5);
    assert_eq!(read(&mut checker, 1, 20, 1, true), None);
    let broken = read(&mut checker, 1, 22, 1, true);
    assert_eq!(broken, Some("I-2 D had passed"));
}

#[test]
fn a_pod_that_answered_serves_nothing_older_itself_not_even_flagged() {
    for reached in [Reached::Local, Reached::Log] {
        let mut checker = checker();
        invalidated(&mut checker, reached, 5);
        for fresh in [true, false] {
            let broken = read(&mut checker, 0, 6, 1, fresh);
            assert_eq!(broken, Some("I-3 this pod had answered OK"));
        }
        assert_eq!(read(&mut checker, 1, 6, 1, true), None);
    }
}

#[test]
fn what_a_pod_promised_of_itself_ends_with_it() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Local, 5);
    let began = checker.begin(0, at(6));
    let required = checker.required(&began, &[1])[0];
    checker.restarted(0);
    assert_eq!(read(&mut checker, 0, 7, 1, true), None);
    // Also for an answer that was on its way.
    checker.judge(&began, (1, required), "g1:1:1", true);
    assert_eq!(checker.broken(), []);
    // LOCAL binds nobody else, ever.
    assert_eq!(read(&mut checker, 1, 60, 1, true), None);
}

#[test]
fn of_two_reads_of_a_pod_that_was_started_again_neither_accuses_it() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Local, 5);
    let began = checker.begin(0, at(6));
    let required = checker.required(&began, &[1])[0];
    let mut look = || checker.look_at(&began, (1, required), "g1:1:1", true).1;
    let both = [look(), look()].map(|broken| broken.expect("older than promised"));
    // The first to ask hears that it is another process; the second does not.
    checker.restarted(0);
    for broken in both {
        checker.accuse(&began, broken);
    }
    assert_eq!(checker.broken(), []);
    assert_eq!((checker.doubts(0), checker.restarts(0)), (2, 1));
    // A third whose answer comes only now is not judged either.
    checker.judge(&began, (1, required), "g1:1:1", true);
    assert_eq!((checker.broken().len(), checker.doubts(0)), (0, 3));
}

#[test]
fn a_doubt_ends_when_the_pod_is_accused() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Local, 5);
    let began = checker.begin(0, at(6));
    let required = checker.required(&began, &[1])[0];
    let (_, broken) = checker.look_at(&began, (1, required), "g1:1:1", true);
    // Nobody has asked yet; a run that ends now says so.
    assert_eq!((checker.broken().len(), checker.doubts(0)), (0, 1));
    checker.accuse(&began, broken.expect("older than promised"));
    assert_eq!((checker.broken().len(), checker.doubts(0)), (1, 0));
}

#[test]
fn a_read_after_a_position_reflects_it_wherever_it_is() {
    let mut checker = checker();
    assert!(checker.position(1).is_none());
    invalidated(&mut checker, Reached::Log, 5);
    let (position, after) = checker.position(1).expect("LOG promised it");
    assert_eq!(position, ONE);
    let began = checker.begin(1, at(6));
    let required = checker.required(&began, &[1])[0].and(after);
    checker.judge(&began, (1, required), "g1:1:1", true);
    assert_eq!(checker.broken()[0].rule, "I-4 min_position was given");
}

#[test]
fn what_was_stored_for_another_key_or_never_is_no_answer() {
    let mut checker = checker();
    for (text, rule) in [
        ("g1:3:1", "I-11 wrong key"),
        ("", "I-11 wrong key"),
        ("g1:1:2", "I-11 never stored"),
    ] {
        let began = checker.begin(0, at(1));
        checker.judge(&began, (1, Required::default()), text, true);
        let broken = checker.broken().last().expect("it is broken");
        assert_eq!(broken.rule, rule, "{text}");
        assert!(broken.is_wrong_key() && !broken.is_stale());
    }
}

#[test]
fn a_loss_suspends_promises_until_d_after_the_new_epoch() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Fleet, 5);
    let began = checker.begin(1, at(6));
    let required = checker.required(&began, &[1])[0];
    checker.loses_records();
    assert!(checker.suspect() && checker.suspended(at(7)));
    checker.judge(&began, (1, required), "g1:1:1", true);
    assert_eq!(checker.saw(TWO, at(10)), Some("after a loss"));
    assert!(checker.suspended(at(25)) && !checker.suspended(at(26)));
    assert_eq!(read(&mut checker, 1, 25, 1, true), None);
    let broken = read(&mut checker, 1, 27, 1, true);
    assert_eq!(broken, Some("I-10 of another epoch"));
}

#[test]
fn an_answer_of_a_lost_life_of_the_log_binds_nobody() {
    let mut checker = checker();
    checker.loses_records();
    checker.saw(TWO, at(10));
    // Position ONE is of the old epoch.
    invalidated(&mut checker, Reached::Fleet, 30);
    assert_eq!(read(&mut checker, 1, 60, 1, true), None);
    assert!(checker.position(1).is_none());
}

#[test]
fn an_epoch_without_a_loss_is_told() {
    let mut checker = checker();
    assert_eq!(checker.saw("0000000000000000-0", at(1)), None);
    assert_eq!(checker.saw(TWO, at(1)), Some("although nothing was lost"));
    assert_eq!(checker.unexpected(), ["00000000000000e2"]);
    assert_eq!(checker.saw(TWO, at(2)), None);
}

#[test]
fn a_pod_that_moves_on_to_an_unknown_epoch_tells_of_a_loss_once() {
    let mut checker = checker();
    invalidated(&mut checker, Reached::Fleet, 5);
    assert!(!checker.moved_on(ONE, at(6)));
    assert!(checker.moved_on(TWO, at(10)));
    assert!(!checker.moved_on(TWO, at(11)) && !checker.suspect());
    assert_eq!(read(&mut checker, 1, 25, 1, true), None);
    let broken = read(&mut checker, 1, 27, 1, true);
    assert_eq!(broken, Some("I-10 of another epoch"));
}
