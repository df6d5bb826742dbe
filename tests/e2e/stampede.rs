//! The figure of the product: of all who miss a key at once, in the whole
//! fleet, one reads the origin.

use crate::fleet::Fleet;
use crate::words::{gone, look};
use futures::future::join_all;
use std::convert::Infallible;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;
use unstale::{Because, Cache, EntryOptions, Invalidate, LoadOptions, Loaded, Lookup};
use unstale_tests::{PATIENCE, eventually};

const PODS: usize = 8;
const CALLERS_PER_POD: usize = 64;
const CALLERS: usize = PODS * CALLERS_PER_POD;

const KEY: &str = "user:7:profile";
/// Long enough for all callers of a round to be answered within it.
const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(600);

fn entry(ttl: Duration) -> EntryOptions {
    EntryOptions::default().ttl(ttl).tag("team")
}

/// An origin that counts, and the callers that ask for its value.
struct Stampede {
    pods: Vec<Cache>,
    loads: AtomicUsize,
    rounds: usize,
    table: String,
}

impl Stampede {
    /// All callers at once, each having processed `position`; what they got.
    async fn all(&self, position: &str, entry: EntryOptions) -> Vec<Loaded<Infallible>> {
        let all_here = Notify::new();
        let pods: Vec<_> = self.pods.iter().map(|pod| pod.after(position)).collect();
        let callers = (0..CALLERS).map(|i| {
            let (all_here, entry) = (&all_here, entry.clone());
            let load = move || async move {
                let load = self.loads.fetch_add(1, SeqCst) + 1;
                // Later loaders, if there are any, must not wait for ever.
                all_here.notified().await;
                all_here.notify_one();
                Ok::<_, Infallible>(format!("load {load}"))
            };
            pods[i % PODS].get_or_load(KEY, LoadOptions::from(entry), load)
        });
        let last = async {
            // Asked after all others on each connection: they have arrived.
            let asked = join_all(self.pods.iter().map(Cache::status)).await;
            assert!(asked.iter().all(Result::is_ok), "{asked:?}");
            all_here.notify_one();
        };
        let (loaded, ()) = tokio::join!(join_all(callers), last);
        let each = loaded.into_iter();
        each.map(|loaded| loaded.expect("a value").result).collect()
    }

    /// One round: everybody gets what the one load gave.
    async fn round(&mut self, what: &str, position: &str, entry: EntryOptions) {
        let loaded = self.all(position, entry).await;
        self.count(what);
        let value = format!("load {}", self.rounds);
        for loaded in &loaded {
            assert_eq!(loaded.value().map(|v| v.as_bytes()), Some(value.as_bytes()));
        }
        let is_filled = |l: &&Loaded<_>| matches!(l, Loaded::Filled { .. });
        assert_eq!(loaded.iter().filter(is_filled).count(), 1, "{what}");
        let others = |l: &&Loaded<_>| matches!(l, Loaded::Hit(_));
        assert_eq!(loaded.iter().filter(others).count(), CALLERS - 1, "{what}");
    }

    fn count(&mut self, what: &str) {
        self.rounds += 1;
        let (loads, rounds) = (self.loads.load(SeqCst), self.rounds);
        self.table += &format!("| {what} | {CALLERS} | {rounds} | {loads} |\n");
        assert_eq!(loads, rounds, "origin loads after {what}\n{}", self.table);
    }

    /// Waits until no pod has the value.
    async fn expired(&self) {
        for pod in &self.pods {
            let ask = || async {
                match look(pod, KEY).await {
                    Lookup::Miss => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            };
            eventually("the end of the ttl", PATIENCE, ask).await;
        }
    }

    /// Past the harness, which would keep it to itself.
    fn print(&self) {
        let head = "| round | callers | rounds | origin loads |\n| --- | --- | --- | --- |";
        let mut log = std::io::stderr().lock();
        writeln!(
            log,
            "\n{PODS} sidecars, {CALLERS_PER_POD} callers each, one key\n{head}\n{}",
            self.table
        )
        .expect("it is printed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_512_callers_on_8_pods_one_loads_at_each_expiry_and_each_raise() {
    let fleet = Fleet::at_once(PODS).await;
    let mut all = Stampede {
        pods: fleet.clients().await,
        loads: AtomicUsize::new(0),
        rounds: 0,
        table: String::new(),
    };
    all.round("cold key", "", entry(SHORT)).await;
    for ttl in [SHORT, SHORT, LONG] {
        all.expired().await;
        all.round("expiry", "", entry(ttl)).await;
    }
    let raises = [
        ("key", Invalidate::default().key(KEY)),
        ("tag", Invalidate::default().tag("team")),
        ("prefix user:", Invalidate::default().prefix("user:")),
        (
            "prefix user:7:pro",
            Invalidate::default().prefix("user:7:pro"),
        ),
        ("namespace", Invalidate::default().all()),
    ];
    for (i, (what, raise)) in raises.into_iter().enumerate() {
        let position = gone(&all.pods[i], raise).await;
        all.round(what, &position, entry(LONG).stale_for(LONG))
            .await;
    }
    let position = gone(&all.pods[7], Invalidate::default().key(KEY).soft()).await;
    let before = format!("load {}", all.rounds);
    let loaded = all.all(&position, entry(LONG)).await;
    all.count("soft, key");
    let after = format!("load {}", all.rounds);
    for loaded in &loaded {
        let value = loaded.value().expect("a value").as_bytes();
        match loaded {
            Loaded::Filled { .. } | Loaded::Hit(_) => assert_eq!(value, after.as_bytes()),
            Loaded::Stale {
                because: Because::Busy { .. },
                ..
            } => assert_eq!(value, before.as_bytes()),
            other => panic!("{other:?}"),
        }
    }
    all.print();
}
