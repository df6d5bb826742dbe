//! The Rust client without a sidecar that answers: fail-open by default, and
//! what never pretends.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use unstale::{
    Ack, Answer, Begun, Builder, Cache, EntryOptions, Error, Expected, Invalidate, LoadError,
    LoadOptions, Loaded, Lookup, NotFilled, NotStoredReason, SetItem, SetOptions, SetOutcome,
};
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually, free_port};

/// The sidecar's default deadline, the client's grace, and a busy machine.
const GIVEN_UP: Duration = Duration::from_secs(4);
/// Callers at once.
const CALLERS: usize = 16;

fn at(port: u16) -> Builder {
    Cache::builder().endpoint(format!("http://127.0.0.1:{port}"))
}

/// A listener that accepts and never answers.
async fn dead() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    port
}

/// Counts what it goes on without. Whoever was refused has joined a load, or
/// leads it, when the test goes on: there is one thread.
fn counted(builder: Builder) -> (Builder, Told) {
    let told = Told(Arc::default());
    let count = Arc::clone(&told.0);
    let builder = builder.on_outage(move |_| {
        count.0.fetch_add(1, SeqCst);
        count.1.notify_one();
    });
    (builder, told)
}

struct Told(Arc<(AtomicUsize, Notify)>);

impl Told {
    async fn reaches(&self, times: usize) {
        while self.0.0.load(SeqCst) < times {
            self.0.1.notified().await;
        }
    }
}

fn not_stored(outcome: &SetOutcome) -> bool {
    let away = NotStoredReason::SidecarUnavailable;
    matches!(outcome, SetOutcome::NotStored { reason, .. } if *reason == away)
}

/// What was loaded without a sidecar.
fn alone(answer: &Answer<Loaded<Infallible>>) -> &[u8] {
    assert!(answer.is_outage(), "{answer:?}");
    let Loaded::NotFilled { content, why } = &answer.result else {
        panic!("{answer:?}");
    };
    assert!(matches!(why, NotFilled::Failed(_)), "{why:?}");
    content.value().expect("a value").as_bytes()
}

/// What everybody without a sidecar gets.
async fn goes_on(cache: &Cache) {
    let read = cache.get("k").await.expect("a miss");
    assert_eq!(read.result, Lookup::Miss);
    assert!(read.is_outage(), "{read:?}");
    let reads = cache.get_many(["a", "b"]).await.expect("misses");
    assert_eq!(reads.result, [Lookup::Miss, Lookup::Miss]);
    assert!(reads.is_outage(), "{reads:?}");
    let set = cache.set("k", "v").await.expect("an outcome");
    assert!(set.is_outage() && not_stored(&set.result), "{set:?}");
    let items = [SetItem::new("a", "1"), SetItem::new("b", "2")];
    let sets = cache.set_many(items, Ack::Log).await.expect("outcomes");
    let outcomes = sets.result.iter().map(|one| one.as_ref().expect("one"));
    assert_eq!(outcomes.filter(|one| not_stored(one)).count(), 2);
    let load = || async { Ok::<_, Infallible>("loaded") };
    let loaded = cache.get_or_load("k", LoadOptions::default(), load).await;
    assert_eq!(alone(&loaded.expect("a value")), b"loaded");
}

/// What would be a lie without a sidecar.
async fn never_pretends(cache: &Cache) {
    let gone = cache.invalidate(Invalidate::default().key("k")).await;
    assert!(matches!(gone, Err(Error::Unreachable(_))), "{gone:?}");
    let entry = EntryOptions::default();
    let swap = cache.compare_and_set("k", Expected::Absent, "v", entry, Ack::Log);
    let swapped = swap.await;
    assert!(matches!(swapped, Err(Error::Unreachable(_))), "{swapped:?}");
    let leased = cache.lease("k").await;
    assert!(matches!(leased, Err(Error::Unreachable(_))), "{leased:?}");
    let watched = cache.watch(unstale::WatchOptions::default()).await;
    assert!(matches!(watched, Err(Error::Unreachable(_))), "{watched:?}");
}

#[tokio::test]
async fn without_a_sidecar_the_application_starts_and_goes_on_and_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let port = free_port();
    let builder = at(port).on_outage(move |error| {
        telling.lock().expect("no panic").push(error.to_string());
    });
    let cache = builder.connect().await.expect("it starts");
    assert_eq!(told.lock().expect("no panic").len(), 1, "connecting");
    goes_on(&cache).await;
    assert_eq!(told.lock().expect("no panic").len(), 6, "each call");
    never_pretends(&cache).await;
    let why = told.lock().expect("no panic").concat();
    assert!(why.contains("cannot reach the sidecar"), "{why}");
}

#[tokio::test]
async fn a_strict_client_says_what_failed() {
    let refused = at(free_port()).strict().connect().await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
    let cache = at(free_port()).strict().lazy().expect("an endpoint");
    let read = cache.get("k").await;
    assert!(matches!(read, Err(Error::Unreachable(_))), "{read:?}");
    let set = cache.set("k", "v").await;
    assert!(matches!(set, Err(Error::Unreachable(_))), "{set:?}");
    let never = || async { Ok::<_, Infallible>("never") };
    let loaded = cache.get_or_load("k", LoadOptions::default(), never).await;
    let unreachable = LoadError::Cache(Error::Unreachable(String::new()));
    let same = loaded.as_ref().err().map(std::mem::discriminant);
    assert_eq!(same, Some(std::mem::discriminant(&unreachable)));
}

#[tokio::test]
async fn a_bad_request_is_an_error_under_every_policy() {
    let pod = Sidecar::builder().fresh().await;
    let cache = at(pod.port()).connect().await.expect("it is there");
    let read = cache.get("").await;
    assert!(matches!(read, Err(Error::Invalid { .. })), "{read:?}");
    let set = cache.set("k", vec![0; 2 << 20]).await;
    assert!(matches!(set, Err(Error::Invalid { .. })), "{set:?}");
    // Its caller has the value, and is told why the cache has not.
    let load = || async { Ok::<_, Infallible>(vec![0; 2 << 20]) };
    let loaded = cache.get_or_load("k", LoadOptions::default(), load).await;
    let loaded = loaded.expect("a value").result;
    let Loaded::NotFilled { why, .. } = loaded else {
        panic!("not NotFilled");
    };
    let NotFilled::Failed(Error::Invalid { reason, .. }) = why else {
        panic!("{why:?}");
    };
    assert_eq!(reason, "VALUE_TOO_LARGE");
}

#[tokio::test]
async fn a_dead_socket_keeps_one_call_waiting_and_not_each() {
    let port = dead().await;
    let cache = at(port).connect().await.expect("the kernel accepts");
    let began = Instant::now();
    goes_on(&cache).await;
    for _ in 0..100 {
        goes_on(&cache).await;
    }
    assert!(began.elapsed() < GIVEN_UP, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_sidecar_that_fell_silent_is_used_again_when_it_answers() {
    let pod = Sidecar::builder().fresh().await;
    let cache = at(pod.port()).connect().await.expect("it is there");
    pod.stop();
    goes_on(&cache).await;
    pod.signal(Signal::CONT);
    let answers = || async {
        let read = cache.get("k").await.expect("an answer");
        (!read.is_outage()).then_some(()).ok_or("away".to_owned())
    };
    eventually("the sidecar's answer", PATIENCE, answers).await;
}

#[tokio::test]
async fn a_sidecar_that_comes_late_or_again_is_found_by_the_next_call() {
    let folder = tempfile::tempdir().expect("a directory");
    let socket = folder.path().join("grpc.sock");
    let builder = Cache::builder().endpoint(format!("unix:{}", socket.display()));
    let cache = builder.connect().await.expect("it starts");
    goes_on(&cache).await;
    for _ in 0..2 {
        let mut pod = Sidecar::builder().uds(&socket).fresh().await;
        let set = cache.set("k", "v").await.expect("an outcome");
        assert!(matches!(set.result, SetOutcome::Stored { .. }), "{set:?}");
        pod.kill();
        goes_on(&cache).await;
        never_pretends(&cache).await;
    }
}

#[tokio::test]
async fn while_the_sidecar_is_away_one_caller_loads_and_all_get_its_value() {
    let (builder, told) = counted(at(free_port()));
    let cache = builder.lazy().expect("an endpoint");
    let (loads, all_here) = (AtomicUsize::new(0), Notify::new());
    let load = |caller: usize| {
        let (loads, all_here) = (&loads, &all_here);
        cache.get_or_load("k", LoadOptions::default(), move || async move {
            loads.fetch_add(1, SeqCst);
            all_here.notified().await;
            Ok::<_, Infallible>(format!("by {caller}"))
        })
    };
    let callers = futures::future::join_all((0..CALLERS).map(load));
    let last = async {
        told.reaches(CALLERS).await;
        all_here.notify_one();
    };
    let (loaded, ()) = tokio::join!(callers, last);
    assert_eq!(loads.load(SeqCst), 1);
    let loaded: Vec<_> = loaded.into_iter().map(|l| l.expect("a value")).collect();
    let first = alone(&loaded[0]);
    assert!(loaded.iter().all(|l| alone(l) == first), "{loaded:?}");
}

#[tokio::test]
async fn who_joins_no_load_from_before_its_own_invalidation() {
    let cache = at(free_port()).connect().await.expect("it starts");
    let options = LoadOptions::default;
    let Ok(Begun::<Infallible>::Loading(old)) = cache.begin("k", options()).await else {
        panic!("nobody loads");
    };
    let refused = cache.delete("k").await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
    let load = || async { Ok::<_, Infallible>("new") };
    let loaded = cache.get_or_load("k", options(), load).await;
    assert_eq!(alone(&loaded.expect("a value")), b"new");
    let old = old.fill::<Infallible>("old").await;
    assert_eq!(alone(&old), b"old");
}

#[tokio::test]
async fn a_loader_that_fails_without_a_sidecar_is_followed_by_the_next() {
    let cache = at(free_port()).connect().await.expect("it starts");
    let (loading, begun) = oneshot::channel();
    let (fail, failing) = oneshot::channel();
    let first = cache.get_or_load("k", LoadOptions::default(), || async {
        loading.send(()).expect("the test waits");
        failing.await.expect("the test tells");
        Err::<String, _>("the origin is away")
    });
    let second = async {
        begun.await.expect("it began");
        let load = || async { Ok::<_, Infallible>("second") };
        let waiting = cache.get_or_load("k", LoadOptions::default(), load);
        let tell = async { fail.send(()).expect("it waits") };
        tokio::join!(waiting, tell).0.expect("a value")
    };
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(first, Err(LoadError::Loader(_))), "{first:?}");
    assert_eq!(alone(&second), b"second");
}

#[tokio::test]
async fn a_sidecar_killed_during_a_load_costs_nobody_the_value() {
    let mut pod = Sidecar::builder().fresh().await;
    let (builder, told) = counted(at(pod.port()));
    let cache = builder.connect().await.expect("it is there");
    let options = LoadOptions::default;
    let Ok(Begun::<Infallible>::Loading(loading)) = cache.begin("k", options()).await else {
        panic!("nothing is cached");
    };
    // It waits for the lease when the sidecar dies, and then for the load.
    let never = || async { Ok::<_, Infallible>("a second load") };
    let other = cache.get_or_load("k", options(), never);
    let ending = async {
        pod.kill();
        told.reaches(1).await;
        loading.fill::<Infallible>("v").await
    };
    let (other, own) = tokio::join!(other, ending);
    assert_eq!(alone(&own), b"v");
    assert_eq!(alone(&other.expect("a value")), b"v");
}

#[tokio::test]
async fn a_call_whose_sidecar_is_killed_is_an_outage_like_any_other() {
    let mut pod = Sidecar::builder().fresh().await;
    let cache = at(pod.port()).connect().await.expect("it is there");
    pod.stop();
    let reading = cache.get("k");
    let killing = async {
        pod.kill();
    };
    let (read, ()) = tokio::join!(reading, killing);
    assert!(read.expect("a miss").is_outage());
    goes_on(&cache).await;
}

#[tokio::test]
async fn a_loader_that_hangs_ends_with_its_hard_timeout_and_frees_the_key() {
    let pod = Sidecar::builder().fresh().await;
    let cache = at(pod.port()).connect().await.expect("it is there");
    let options = LoadOptions {
        hard_timeout: Some(Duration::from_millis(100)),
        term: Some(Duration::from_secs(120)),
        ..LoadOptions::default()
    };
    let hangs = || std::future::pending::<Result<String, Infallible>>();
    let late = cache.get_or_load("k", options.clone(), hangs).await;
    assert!(matches!(late, Err(LoadError::TimedOut(_))), "{late:?}");
    let load = || async { Ok::<_, Infallible>("v") };
    let next = cache.get_or_load("k", options, load).await;
    let next = next.expect("a value").result;
    assert!(matches!(next, Loaded::Filled { .. }), "{next:?}");
}

#[tokio::test]
async fn a_write_after_a_read_without_a_sidecar_claims_nothing() {
    let pod = Sidecar::builder().fresh().await;
    let away = at(free_port()).connect().await.expect("it starts");
    let position = away.get("k").await.expect("a miss").position;
    // The sidecar is there again: nobody knows what came after the read.
    let cache = at(pod.port()).connect().await.expect("it is there");
    let options = SetOptions::default().position(position.as_str());
    let set = cache.set_with("k", "old", options).await;
    assert!(not_stored(&set.expect("an outcome").result));
    let items = [
        SetItem::new("k", "old").position(position),
        SetItem::new("l", "true now"),
    ];
    let sets = cache.set_many(items, Ack::Log).await.expect("outcomes");
    let outcome = |i: usize| sets.result[i].as_ref().expect("an outcome");
    assert!(not_stored(outcome(0)), "{sets:?}");
    assert!(matches!(outcome(1), SetOutcome::Stored { .. }), "{sets:?}");
    let read = cache.get("k").await.expect("an answer");
    assert_eq!(read.result, Lookup::Miss);
}
