//! I-16: D + 5 s after the last fault every session is live, and every pod
//! returns the newest version and hits again.

use crate::clients::judge::Demand;
use crate::clients::{Client, Role, key};
use crate::clients::{recorder, referrer};
use crate::fleet::Fleet;
use crate::world::{KEYS, SWAPPED, Shared};
use unstale_engine::request::{Get, SessionState};

pub(crate) async fn demand(fleet: &Fleet) {
    let shared = &fleet.shared;
    let size = shared.with(|w| w.mix.size);
    shared.handle.until(size.demanded() - 1_500_000).await;
    shared.with(|w| w.quiet = true);
    shared.handle.until(size.demanded()).await;
    sessions_are_fresh(fleet);
    losses_were_noticed(fleet);
    sets_were_noticed(fleet);
    recorder::judge(shared);
    for number in 0..fleet.size() {
        let Some(engine) = fleet.engine(number) else {
            continue;
        };
        let client = Client {
            shared: shared.clone(),
            pod: number,
            start: 0,
            engine,
        };
        shared.with(|w| w.not_hitting += 1);
        shared.handle.spawn(number, hits_again(client));
    }
    referrer::demand_counts(fleet);
}

fn sessions_are_fresh(fleet: &Fleet) {
    for number in 0..fleet.size() {
        let status = fleet.engine(number).map(|engine| engine.status());
        if status.as_ref().map(|s| s.state) != Some(SessionState::Fresh) {
            let what = format!("pod {number} is not fresh after the faults: {status:?}");
            fleet.shared.violate("I-16", None, what);
        }
    }
}

/// A pod that had read lost records knows it: a new epoch has to follow.
fn losses_were_noticed(fleet: &Fleet) {
    let missed = fleet.shared.with(|w| {
        let unanswered = w.judged.losses.iter().filter(|loss| {
            let lives = |(pod, start): &(usize, u64)| w.links[*pod].start == *start;
            let seen = loss.witnesses.iter().any(lives) && w.log.first <= loss.last + 1;
            seen && !w.log.epoch_since(loss.at)
        });
        unanswered.map(|loss| (loss.at, loss.last)).next()
    });
    if let Some((at, last)) = missed {
        let what = format!(
            "the log lost all above {last} at {at} µs, a pod had read it, and no new epoch followed"
        );
        fleet.shared.violate("I-10", None, what);
    }
}

/// A pod that knew the time before the log's clock was set back: the same.
fn sets_were_noticed(fleet: &Fleet) {
    let missed = fleet.shared.with(|w| {
        let lives = |(pod, start): &(usize, u64)| w.links[*pod].start == *start;
        w.judged.server_clock.unnoticed(lives)
    });
    if let Some((at, by)) = missed {
        let what = format!("the log's clock was set by {by} µs at {at} µs, and no epoch followed");
        fleet.shared.violate("I-12", None, what);
    }
}

/// Loads each key until it is hit; the value is judged as that of every read,
/// and the last invalidation in the log is older than D by then.
async fn hits_again(client: Client) {
    finds_what_is_swapped(&client).await;
    for key in 0..KEYS {
        loop {
            match client
                .get(key, Demand::default())
                .await
                .and_then(|answer| answer.result.found().cloned())
            {
                Some(_) => break,
                _ if is_late(&client.shared) => {
                    let what = format!("pod {} does not hit key {key} again", client.pod);
                    return client.shared.violate("I-16", Some(key), what);
                }
                _ => client.load(key).await,
            }
            client.shared.delay(1_000, 50_000).await;
        }
    }
    client.shared.with(|w| {
        w.not_hitting -= 1;
        w.converged |= w.not_hitting == 0 && !w.mix.size.lingers;
    });
}

/// The key that nobody loads is written all the time: every pod finds it, too,
/// unless other keys' writes cover it.
async fn finds_what_is_swapped(client: &Client) {
    let shared = &client.shared;
    let excused = shared.with(|w| {
        let silent = w.absent.contains(&Role::Swapper);
        silent || w.mix.shares_floors()
    });
    if excused {
        return;
    }
    loop {
        let get = Get::plain(key(SWAPPED), client.deadline(500));
        let answer = client.engine.get(get).await;
        if answer.is_ok_and(|answer| answer.result.found().is_some()) {
            return;
        }
        if is_late(shared) {
            let what = format!("pod {} does not find what is swapped", client.pod);
            return shared.violate("I-16", Some(SWAPPED), what);
        }
        shared.delay(1_000, 50_000).await;
    }
}

fn is_late(shared: &Shared) -> bool {
    let end = shared.with(|w| w.mix.size.end());
    shared.handle.now() > end - 300_000
}
