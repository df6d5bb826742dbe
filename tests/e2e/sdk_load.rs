//! get_or_load of the Rust client: one loader in the fleet, and a lease that
//! goes back whatever ends the load.

use crate::fleet::Fleet;
use crate::sdk::client;
use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use unstale::{
    Answer, Begun, Cache, Error, Invalidate, LeaseOptions, Leased, LoadError, LoadOptions, Loaded,
    NotFilled, Voided,
};
use unstale_tests::{Flow, PATIENCE, Sidecar, Wire};

/// Callers at once, spread over the pods.
const CALLERS: usize = 32;
/// Well below a term: whoever gets the lease within it did not wait for that.
const SOON: Duration = Duration::from_secs(5);

/// A lease that outlasts the test unless it is given back.
fn long() -> LoadOptions {
    LoadOptions {
        term: Some(Duration::from_secs(120)),
        ..LoadOptions::default()
    }
}

fn text<E>(loaded: &Loaded<E>) -> String {
    let value = loaded.value().expect("a value");
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Without what every answer says beside its result.
fn alone<E>(loaded: Result<Answer<Loaded<E>>, LoadError<E>>) -> Result<Loaded<E>, LoadError<E>> {
    loaded.map(|answer| answer.result)
}

/// The next caller becomes the loader, and soon.
async fn is_free(cache: &Cache) {
    let began = Instant::now();
    let loader = || async { Ok::<_, Infallible>("next") };
    let loaded = alone(cache.get_or_load("k", long(), loader).await);
    assert!(matches!(loaded, Ok(Loaded::Filled { .. })), "{loaded:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn of_many_callers_over_two_pods_one_loads_and_all_get_its_value() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let (loads, all_here) = (AtomicUsize::new(0), Notify::new());
    let load = |caller: usize| {
        let cache = if caller.is_multiple_of(2) { &one } else { &two };
        let (loads, all_here) = (&loads, &all_here);
        cache.get_or_load("k", LoadOptions::default(), move || async move {
            loads.fetch_add(1, SeqCst);
            all_here.notified().await;
            Ok::<_, Infallible>(format!("by {caller}"))
        })
    };
    let callers = futures::future::join_all((0..CALLERS).map(load));
    let last = async {
        // Asked after all others, on each pod: they have arrived by then.
        let (a, b) = tokio::join!(one.status(), two.status());
        a.and(b).expect("Status answers");
        all_here.notify_one();
    };
    let (loaded, ()) = tokio::join!(callers, last);
    assert_eq!(loads.load(SeqCst), 1);
    let loaded: Vec<_> = loaded
        .into_iter()
        .map(|l| l.expect("a value").result)
        .collect();
    let filled = |l: &&Loaded<Infallible>| matches!(l, Loaded::Filled { .. });
    assert_eq!(loaded.iter().filter(filled).count(), 1);
    let value = text(&loaded[0]);
    assert!(loaded.iter().all(|l| text(l) == value), "{loaded:?}");
}

#[tokio::test]
async fn a_failing_loader_gives_the_lease_back_and_its_error_is_told() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let loader = || async { Err::<String, _>("the origin is away") };
    let failed = one.get_or_load("k", long(), loader).await;
    assert!(
        matches!(failed, Err(LoadError::Loader("the origin is away"))),
        "{failed:?}"
    );
    is_free(&two).await;
}

#[tokio::test]
async fn a_dropped_call_drops_its_loader_and_gives_the_lease_back() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let (loading, begun) = oneshot::channel();
    let loader = || async {
        loading.send(()).expect("the test waits");
        pending::<Result<String, Infallible>>().await
    };
    tokio::select! {
        _ = one.get_or_load("k", long(), loader) => panic!("the loader never ends"),
        begun = begun => begun.expect("it began"),
    }
    is_free(&two).await;
}

fn bug() -> Result<String, Infallible> {
    panic!("a bug in the loader")
}

#[tokio::test]
async fn a_caller_that_panics_gives_the_lease_back() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let panicking = cache.clone();
    let loading = tokio::spawn(async move {
        let loader = || async { bug() };
        panicking.get_or_load("k", long(), loader).await.is_ok()
    });
    assert!(loading.await.expect_err("it panicked").is_panic());
    is_free(&cache).await;
}

#[tokio::test]
async fn a_value_that_was_invalidated_during_its_load_is_given_but_not_stored() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let loader = || async {
        let what = Invalidate::default().key("k").ack(unstale::Ack::Fleet);
        two.invalidate(what).await.map(|_| "old")
    };
    let loaded = one.get_or_load("k", long(), loader).await;
    let loaded = loaded.expect("a value").result;
    assert_eq!(text(&loaded), "old");
    let Loaded::NotFilled { why, .. } = loaded else {
        panic!("{loaded:?}");
    };
    assert!(
        matches!(why, NotFilled::Voided(Voided::Invalidated)),
        "{why:?}"
    );
    is_free(&two).await;
}

#[tokio::test]
async fn a_loader_that_outlasts_the_wait_of_others_is_busy_for_them_and_stores() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let term = Duration::from_secs(1);
    let short = || LoadOptions {
        term: Some(term),
        wait: term * 3,
        ..LoadOptions::default()
    };
    // Three terms long: only renewals keep the lease.
    let loader = || async {
        let never = || async { Ok::<_, Infallible>("a second load") };
        let other = two.get_or_load("k", short(), never).await;
        match other {
            Err(LoadError::Cache(Error::Busy { .. })) => Ok("first"),
            other => Err(format!("{other:?}")),
        }
    };
    let loaded = alone(one.get_or_load("k", short(), loader).await);
    assert!(matches!(loaded, Ok(Loaded::Filled { .. })), "{loaded:?}");
}

#[tokio::test]
async fn a_load_that_ends_while_its_lease_is_being_renewed_is_stored() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    let options = LoadOptions {
        term: Some(Duration::from_millis(600)),
        ..LoadOptions::default()
    };
    let nats = &fleet.nats;
    let loader = || async move {
        nats.pause();
        // Past a third of the term: the renewal waits for the server.
        tokio::time::sleep(Duration::from_millis(300)).await;
        nats.go_on();
        Ok::<_, Infallible>("v")
    };
    let loading = cache.get_or_load("k", options, loader);
    let loaded = tokio::time::timeout(PATIENCE, loading).await;
    let loaded = loaded.expect("it ends").expect("a value").result;
    assert!(matches!(loaded, Loaded::Filled { .. }), "{loaded:?}");
}

/// How late answers are: long enough to hang up before they come.
const LATE: Duration = Duration::from_millis(400);

/// A client whose answers come late, and when its leases are granted.
async fn far(pod: &Sidecar) -> (Wire, Cache) {
    let wire = Wire::start(pod.port()).await;
    let endpoint = format!("http://127.0.0.1:{}", wire.port());
    let far = Cache::builder().strict().endpoint(endpoint).connect().await;
    let far = far.expect("it is there");
    far.get("k").await.expect("Get answers");
    wire.set(Flow::Slow(LATE));
    (wire, far)
}

async fn granted(pod: &Sidecar, leases: u64) {
    while pod.metric("unstale_leases_granted_total").await < leases {}
}

#[tokio::test]
async fn a_call_dropped_while_its_lease_is_on_its_way_frees_the_key() {
    let pod = Sidecar::builder().fresh().await;
    let (_wire, far) = far(&pod).await;
    let loader = || async { Ok::<_, Infallible>("too late") };
    tokio::select! {
        loaded = far.get_or_load("k", long(), loader) => panic!("{loaded:?}"),
        () = granted(&pod, 1) => {}
    }
    is_free(&client(&pod).await).await;
}

#[tokio::test]
async fn a_batch_dropped_while_its_leases_are_on_their_way_frees_the_keys() {
    let pod = Sidecar::builder().fresh().await;
    let (_wire, far) = far(&pod).await;
    let term = LeaseOptions::default().term(Duration::from_secs(120));
    tokio::select! {
        leased = far.lease_many(["other", "k"], term) => panic!("{leased:?}"),
        () = granted(&pod, 2) => {}
    }
    is_free(&client(&pod).await).await;
}

#[tokio::test]
async fn who_holds_a_lease_on_another_thread_frees_the_key() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let begun = cache.begin::<Infallible>("k", long()).await;
    let Ok(Begun::Loading(loading)) = begun else {
        panic!("{begun:?}");
    };
    let thread = std::thread::spawn(move || drop(loading));
    thread.join().expect("it does not panic");
    is_free(&cache).await;
}

/// Too large to be stored.
fn large() -> String {
    "x".repeat(2 << 20)
}

#[tokio::test]
async fn of_values_that_cannot_be_stored_no_caller_waits_for_a_lease() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, other) = (client(&pod).await, client(&pod).await);
    let load = || async { Ok::<_, Infallible>(large()) };
    let held = LeaseOptions::default().term(Duration::from_secs(120));
    for round in 0..3 {
        let began = Instant::now();
        let loaded = cache.get_or_load("k", long(), load).await;
        let loaded = loaded.expect("a value");
        assert_eq!(loaded.degraded, [], "{round}: the sidecar is there");
        let Loaded::NotFilled { content, why } = loaded.result else {
            panic!("{round}: {loaded:?}");
        };
        assert_eq!(content.value().map(|v| v.as_bytes().len()), Some(2 << 20));
        assert!(
            matches!(why, NotFilled::Failed(Error::Invalid { .. })),
            "{why:?}"
        );
        assert!(began.elapsed() < SOON, "{round}: {:?}", began.elapsed());
        // Another process loads, and takes its time.
        other
            .lease_with("k", held.clone())
            .await
            .expect("Lease answers");
    }
}

#[tokio::test]
async fn who_waits_for_a_value_that_cannot_be_stored_is_told() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, other) = (client(&pod).await, client(&pod).await);
    let held = LeaseOptions::default().term(Duration::from_secs(120));
    let leased = other.lease_with("k", held).await.expect("Lease answers");
    assert!(matches!(leased.result, Leased::Granted(_)), "{leased:?}");
    let began = Instant::now();
    let load = || async { Ok::<_, Infallible>("loaded") };
    let waits = cache.get_or_load("k", long(), load);
    let learns = async {
        // The call above was sent before this one is answered.
        cache.status().await.expect("Status answers");
        let too_large = Error::Invalid {
            reason: "VALUE_TOO_LARGE".to_owned(),
            message: String::new(),
            violations: Vec::new(),
        };
        cache.learn("k", Err(too_large));
    };
    let (loaded, ()) = tokio::join!(waits, learns);
    let loaded = loaded.expect("a value").result;
    assert_eq!(text(&loaded), "loaded");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}
