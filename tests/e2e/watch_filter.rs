//! Watch with filters, across pods: whatever may cover something that is held
//! is told, in order, also after a resume; the rest is left out.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{gone, put};
use futures::StreamExt as _;
use unstale::{Cache, EntryOptions, Invalidate, InvalidateMode, Watch, WatchEvent, WatchOptions};
use unstale_tests::PATIENCE;

async fn next(watch: &mut Watch) -> WatchEvent {
    let event = async {
        loop {
            match watch.next().await.expect("the stream goes on") {
                Ok(WatchEvent::Heartbeat { .. }) => {}
                other => return other.expect("no error"),
            }
        }
    };
    let event = tokio::time::timeout(PATIENCE, event).await;
    event.expect("an event in time")
}

async fn started(cache: &Cache, options: WatchOptions) -> Watch {
    let mut watch = cache.watch(options).await.expect("Watch answers");
    let first = next(&mut watch).await;
    assert!(matches!(first, WatchEvent::Started { .. }), "{first:?}");
    watch
}

/// The reason that the next invalidation was given, and where it is.
async fn reason(watch: &mut Watch) -> (String, String) {
    match next(watch).await {
        WatchEvent::Invalidation { what, position } => (what.reason, position),
        other => panic!("{other:?}"),
    }
}

/// Invalidations that are named by their reasons.
fn all() -> [(&'static str, Invalidate); 9] {
    [
        ("held key", Invalidate::default().key("user:7")),
        ("other key", Invalidate::default().key("user:8")),
        ("held tag", Invalidate::default().tag("team")),
        ("other tag", Invalidate::default().tag("site")),
        ("wide prefix", Invalidate::default().prefix("user:")),
        ("other prefix", Invalidate::default().prefix("page:")),
        ("both", Invalidate::default().key("x").key("user:7")),
        ("soft key", Invalidate::default().key("user:7").soft()),
        ("namespace", Invalidate::default().all()),
    ]
}

/// What each filter must be told of these.
fn filters() -> Vec<(WatchOptions, Vec<&'static str>)> {
    let every = all().map(|(name, _)| name).to_vec();
    let but = |left_out: &[&str]| {
        let told = every.iter().filter(|name| !left_out.contains(name));
        told.copied().collect::<Vec<_>>()
    };
    let none = WatchOptions::default;
    vec![
        (none(), every.clone()),
        // Keys alone prove nothing of tags, tags alone nothing of keys.
        (none().key("user:7"), but(&["other key", "other prefix"])),
        (none().tag("team"), but(&["other tag"])),
        (
            none().key("user:7").tag("team"),
            but(&["other key", "other tag", "other prefix"]),
        ),
        (
            none().prefix("user:").tag("team"),
            but(&["other tag", "other prefix"]),
        ),
        (
            none().prefix("page:1").tag("none"),
            vec!["other prefix", "namespace"],
        ),
    ]
}

#[tokio::test]
async fn each_filter_is_told_all_that_may_cover_what_it_names_in_log_order() {
    let fleet = Fleet::of(2).await;
    let (writer, watched) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let begin = watched.get("k").await.expect("Get answers").position;
    let mut live = Vec::new();
    for (filter, told) in filters() {
        live.push((started(&watched, filter.clone()).await, filter, told));
    }
    let mut positions = Vec::new();
    for (name, what) in all() {
        let position = gone(&writer, what.reason(name)).await;
        positions.push((name.to_owned(), position));
    }
    let expected = |told: &[&str]| {
        let of = positions.iter().filter(|(name, _)| told.contains(&&**name));
        of.cloned().collect::<Vec<_>>()
    };
    for (mut watch, filter, told) in live {
        let mut seen = Vec::new();
        for _ in &told {
            seen.push(reason(&mut watch).await);
        }
        assert_eq!(seen, expected(&told), "{filter:?}");
        // The same again on the other pod, from before and from the middle.
        let resumed = filter.clone().position(begin.as_str());
        let mut watch = started(&writer, resumed).await;
        for seen in &seen {
            assert_eq!(reason(&mut watch).await, *seen, "{filter:?}");
        }
        let (middle, rest) = (&seen[seen.len() / 2 - 1].1, &seen[seen.len() / 2..]);
        let resumed = filter.clone().position(middle.as_str());
        let mut watch = started(&writer, resumed).await;
        for seen in rest {
            assert_eq!(reason(&mut watch).await, *seen, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn a_write_is_told_by_its_key_and_a_soft_invalidation_by_its_mode() {
    let fleet = Fleet::of(2).await;
    let (writer, watched) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let held = WatchOptions::default().key("held").tag("none");
    let mut watch = started(&watched, held).await;
    let plain = EntryOptions::default;
    put(&writer, "other", "v", plain()).await;
    put(&writer, "held", "v", plain()).await;
    let position = put(&writer, "held", "w", plain()).await;
    gone(&writer, Invalidate::default().key("held").soft()).await;
    let mut modes = Vec::new();
    let mut writes = Vec::new();
    while modes.is_empty() {
        match next(&mut watch).await {
            WatchEvent::Invalidation { what, position } => {
                assert_eq!(what.keys, ["held"]);
                match what.mode {
                    InvalidateMode::Soft => modes.push(position),
                    InvalidateMode::Hard => writes.push(position),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    // The second write replaced something.
    let number = |p: &String| crate::watcher::sequence(p);
    assert!(writes.iter().any(|at| number(at) <= number(&position)));
    assert!(writes.iter().all(|at| number(at) < number(&modes[0])));
}
