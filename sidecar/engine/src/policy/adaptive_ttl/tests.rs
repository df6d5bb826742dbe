//! What a namespace's entries get, as families are learned.

use super::record::Unreadable;
use super::*;
use crate::clock::LogTime;
use proptest::prelude::*;

const DAY: u64 = 86_400_000_000;

fn at(seconds: u64) -> Moment {
    Moment::new(Duration::from_secs(seconds))
}

fn around() -> Around {
    Around {
        default_ttl: Duration::from_secs(300),
        max_ttl: Duration::from_secs(86_400),
        pods: 1,
    }
}

fn config(families: &[&str]) -> Arc<AdaptiveTtl> {
    let families = families
        .iter()
        .map(|text| Template::new(text).expect("a good template"));
    Arc::new(AdaptiveTtl {
        families: families.collect(),
        ..AdaptiveTtl::default()
    })
}

fn see(learned: &mut Learned, name: &str, seen: Option<Seen>) -> Duration {
    learned.ttl(name, &Delimiters::default(), seen, &around())
}

fn seen(change: Change) -> Option<Seen> {
    Some(Seen {
        interval: 60.0,
        change,
        reads: 600.0,
    })
}

fn plan(learned: &mut Learned, now: Moment) {
    let plan = learned.plan(&around());
    learned.apply(plan.made(), plan.seen(), now);
}

fn family(learned: &Learned, name: &str) -> Family {
    learned.family(name, &Delimiters::default(), &around())
}

/// Users change at every look, pages never.
fn taught(families: &[&str]) -> Learned {
    let mut learned = Learned::new(config(families), at(0));
    for n in 0..200 {
        see(
            &mut learned,
            &format!("user:{n}"),
            seen(Change::After(20.0)),
        );
        see(&mut learned, &format!("page:{n}:html"), seen(Change::None));
    }
    plan(&mut learned, at(30));
    learned
}

#[test]
fn what_changes_often_lives_shorter() {
    let mut learned = taught(&[]);
    let [user, page] = ["user:900", "page:900:html"].map(|name| see(&mut learned, name, None));
    assert!(user < Duration::from_secs(7), "{user:?}");
    assert!(page > Duration::from_secs(400), "{page:?}");
    let [user, page] = ["user:900", "page:900:html"].map(|name| family(&learned, name));
    assert_eq!((&*user.template, user.bound), ("user:*", Bound::Nothing));
    assert_eq!(&*page.template, "page:*:html");
    assert!((user.changes_per_second - 0.05).abs() < 0.01, "{user:?}");
    assert!((user.reads_per_second - 10.0).abs() < 0.1, "{user:?}");
    assert!(page.changes_per_second < 1e-3, "{page:?}");
}

#[test]
fn what_is_not_known_gets_the_default_within_the_bounds() {
    let mut learned = Learned::new(config(&[]), at(0));
    assert_eq!(see(&mut learned, "k", None), Duration::from_secs(300));
    let told = family(&learned, "k");
    assert_eq!(
        (told.ttl, told.observations),
        (Duration::from_secs(300), 0.0)
    );
    let short = AdaptiveTtl {
        max: Duration::from_secs(9),
        ..AdaptiveTtl::default()
    };
    learned.configure(Arc::new(short));
    assert_eq!(see(&mut learned, "k", None), Duration::from_secs(9));
    // One look is not enough to go far from it.
    let mut learned = Learned::new(config(&[]), at(0));
    see(&mut learned, "k", seen(Change::Within));
    plan(&mut learned, at(1));
    let ttl = see(&mut learned, "k", None);
    assert!(ttl > Duration::from_secs(150), "{ttl:?}");
}

#[test]
fn a_template_that_matches_everything_is_the_one_family() {
    let learned = taught(&["*"]);
    for name in ["user:1", "page:1:html", "anything"] {
        let family = family(&learned, name);
        assert_eq!((&*family.template, family.configured), ("*", true));
        assert!(family.observations > 399.0);
    }
}

#[test]
fn the_first_template_that_matches_wins() {
    let learned = taught(&["user:1*", "user:*"]);
    assert_eq!(&*family(&learned, "user:17").template, "user:1*");
    assert_eq!(&*family(&learned, "user:27").template, "user:*");
    assert!(family(&learned, "user:27").configured);
    assert!(!family(&learned, "page:27:html").configured);
}

#[test]
fn families_beyond_the_most_are_one_and_the_forgotten_make_room() {
    let mut learned = Learned::new(config(&["user:*"]), at(0));
    for n in 0..1_000 {
        see(&mut learned, &format!("word-{n}-x"), seen(Change::None));
    }
    assert_eq!(learned.families.len(), MOST_FAMILIES);
    assert_eq!(&*family(&learned, "word-999-x").template, "");
    let rest = learned.families[REST].estimate.observations;
    assert!(rest > 700.0, "{rest}");
    // Four half-lives later.
    learned.apply(Vec::new(), 0, at(4 * 4 * 3600));
    assert_eq!(learned.families.len(), 2, "the configured one and the rest");
}

#[test]
fn a_clock_that_jumps_ahead_only_makes_the_old_count_less() {
    let mut learned = taught(&[]);
    let before = see(&mut learned, "user:1", None);
    plan(&mut learned, at(u64::MAX / 2));
    plan(&mut learned, at(0));
    plan(&mut learned, at(61));
    let after = see(&mut learned, "user:1", None);
    assert!(before < Duration::from_secs(7), "{before:?}");
    assert_eq!(after, Duration::from_secs(300), "all is forgotten");
}

#[test]
fn what_was_learned_is_kept_and_added_to_what_is() {
    let (old, now) = (taught(&["user:*"]), LogTime(DAY));
    let record = old.record("shop", now);
    let mut new = Learned::new(config(&["user:*"]), at(0));
    see(&mut new, "user:1", seen(Change::After(20.0)));
    new.adopt("shop", now, &record).expect("it is readable");
    plan(&mut new, at(1));
    let [a, b] = [&old, &new].map(|learned| family(learned, "page:1:html"));
    assert_eq!(a.observations, b.observations);
    assert_eq!(family(&new, "user:1").observations, 201.0);
    assert!(see(&mut new, "user:1", None) < Duration::from_secs(7));
    // A half-life old.
    let mut later = Learned::new(config(&[]), at(0));
    let then = now.plus(Duration::from_secs(4 * 3600));
    later.adopt("shop", then, &record).expect("it is readable");
    assert_eq!(later.families["user:*"].estimate.observations, 100.0);
    // The log's clock went back: it is as new as can be.
    let mut back = Learned::new(config(&[]), at(0));
    back.adopt("shop", LogTime(1), &record)
        .expect("it is readable");
    assert_eq!(back.families["user:*"].estimate.observations, 200.0);
}

/// Keys may hold anything: what is cut out of them need not be a good template.
#[test]
fn families_of_odd_keys_are_kept_with_the_others() {
    let mut old = Learned::new(config(&[]), at(0));
    for name in ["**:1", "a\n:1", "**", "user:1"] {
        see(&mut old, name, seen(Change::None));
    }
    let record = old.record("shop", LogTime(DAY));
    let mut new = Learned::new(config(&[]), at(0));
    assert_eq!(new.adopt("shop", LogTime(DAY), &record), Ok(()));
    assert_eq!(family(&new, "**:2").observations, 1.0);
}

#[test]
fn a_record_of_others_is_not_adopted() {
    let old = taught(&[]);
    let record = old.record("shop", LogTime(DAY));
    let mut new = Learned::new(config(&[]), at(0));
    let refused = |new: &mut Learned, name, bytes: &[u8]| {
        assert_eq!(new.adopt(name, LogTime(DAY), bytes), Err(Unreadable));
        assert_eq!(new.families.len(), 1);
    };
    refused(&mut new, "other", &record);
    refused(&mut new, "shop", &[]);
    refused(&mut new, "shop", &record[..record.len() - 1]);
    let mut later = record.to_vec();
    later[3] = b'2';
    refused(&mut new, "shop", &later);
}

/// The largest there can be stays far below what the tiers take.
#[test]
fn a_record_is_of_a_bounded_size() {
    let mut learned = Learned::new(config(&[]), at(0));
    for n in 0..2 * MOST_FAMILIES {
        let name = format!("{:a>500}{n}", "");
        for power in 0..40 {
            let change = Change::Within;
            let interval = f64::from(power).exp2() / 1000.0;
            let reads = 1e3;
            see(
                &mut learned,
                &name,
                Some(Seen {
                    interval,
                    change,
                    reads,
                }),
            );
        }
    }
    let record = learned.record("shop", LogTime(DAY));
    assert!(
        record.len() < crate::limits::VALUE_BYTES / 2,
        "{}",
        record.len()
    );
    let mut again = Learned::new(config(&[]), at(0));
    assert_eq!(again.adopt("shop", LogTime(DAY), &record), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_ttl_is_within_the_bounds_whatever_was_seen(
        all in proptest::collection::vec((0_u8..4, 0.0..1e9, 0_u8..3, 0.0..1e9), 0..60),
        min_ms in 1_u64..100_000,
        longer_ms in 0_u64..1_000_000,
        default_ms in 1_u64..10_000_000,
        max_ms in 1_u64..10_000_000,
        budget in 0.0001..0.5,
    ) {
        let ms = Duration::from_millis;
        let config = AdaptiveTtl {
            min: ms(min_ms),
            max: ms(min_ms + longer_ms),
            stale_budget: budget,
            families: Vec::new(),
        };
        let around = Around { default_ttl: ms(default_ms), max_ttl: ms(max_ms), pods: 3 };
        let mut learned = Learned::new(Arc::new(config.clone()), at(0));
        for (n, (family, interval, change, reads)) in all.into_iter().enumerate() {
            let change = match change {
                0 => Change::None,
                1 => Change::Within,
                _ => Change::After(interval / 2.0),
            };
            let seen = Some(Seen { interval, change, reads });
            let name = format!("{}:1", char::from(b'a' + family));
            let ttl = learned.ttl(&name, &Delimiters::default(), seen, &around);
            prop_assert!(ttl <= config.max && ttl <= around.max_ttl);
            prop_assert!(ttl >= config.min.min(around.max_ttl));
            if n % 10 == 9 {
                let plan = learned.plan(&around);
                learned.apply(plan.made(), plan.seen(), at(n as u64));
            }
        }
    }

    #[test]
    fn no_bytes_make_adopting_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let mut record = b"UNA1".to_vec();
        record.extend(xxhash_rust::xxh3::xxh3_64(&bytes).to_be_bytes());
        record.extend(&bytes);
        let mut learned = Learned::new(config(&[]), at(0));
        let _ = learned.adopt("shop", LogTime(0), &record);
    }
}
