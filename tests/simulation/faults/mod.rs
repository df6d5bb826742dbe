//! What goes wrong: one function per fault.

mod kinds;
mod log;
mod pod;
mod tier;

pub(crate) use kinds::Fault;

use crate::fleet::Fleet;
use crate::plan::Strike;
use crate::timeline::Scope;
use crate::world::NOBODY;

/// Runs the plan's faults; returns when the last is over.
pub(crate) async fn run(fleet: Fleet) {
    let shared = &fleet.shared;
    let lasting: Vec<_> = shared.with(|w| w.mix.lasting().collect());
    lasting
        .iter()
        .for_each(|f| shared.with(|w| w.active(*f, true, 0)));
    let (strikes, size) = shared.with(|w| (w.strikes.clone(), w.mix.size));
    for strike in strikes {
        shared.handle.until(strike.at).await;
        let hits = hits(fleet.clone(), strike);
        shared.handle.spawn(NOBODY, hits);
    }
    shared.handle.until(size.over() + 1_000_000).await;
    let now = shared.handle.now();
    lasting
        .iter()
        .for_each(|f| shared.with(|w| w.active(*f, false, now)));
}

async fn hits(fleet: Fleet, strike: Strike) {
    let shared = &fleet.shared;
    let Strike {
        fault,
        pod: number,
        length,
        ..
    } = strike;
    shared.note(Scope::All, || {
        format!("{fault:?} on pod {number} for {length}")
    });
    shared.with(|w| w.active(fault, true, 0));
    match fault {
        Fault::Cut => pod::cut(&fleet, number, length, pod::LOG, pod::BOTH_WAYS).await,
        Fault::CutSends => pod::cut(&fleet, number, length, pod::LOG, pod::SENDS).await,
        Fault::CutReceives => pod::cut(&fleet, number, length, pod::LOG, pod::RECEIVES).await,
        Fault::TierCut => pod::cut(&fleet, number, length, pod::TIER, pod::BOTH_WAYS).await,
        Fault::TierCutSends => pod::cut(&fleet, number, length, pod::TIER, pod::SENDS).await,
        Fault::TierCutReceives => pod::cut(&fleet, number, length, pod::TIER, pod::RECEIVES).await,
        Fault::AllCut => pod::cut(&fleet, number, length, pod::ALL, pod::BOTH_WAYS).await,
        Fault::AllCutSends => pod::cut(&fleet, number, length, pod::ALL, pod::SENDS).await,
        Fault::AllCutReceives => pod::cut(&fleet, number, length, pod::ALL, pod::RECEIVES).await,
        Fault::Pause => pod::pause(&fleet, number, length).await,
        Fault::Crash => pod::crash(&fleet, number).await,
        Fault::CrashAt => pod::crash_at(&fleet, number, length).await,
        Fault::Drain => pod::drain(&fleet, number, length).await,
        Fault::SlowReader if shared.chance(50) => {
            pod::hold(&fleet, number, length, |l| &mut l.no_reads).await
        }
        Fault::SlowReader => pod::hold(&fleet, number, length, |l| &mut l.trickle).await,
        Fault::SlowNetwork => pod::hold(&fleet, number, length, |l| &mut l.slow).await,
        Fault::Duplicates => pod::hold(&fleet, number, length, |l| &mut l.duplicates).await,
        Fault::Lossy => pod::lossy(&fleet, length).await,
        Fault::TierAway => tier::away(&fleet, length).await,
        Fault::TierLags => tier::lags(&fleet, length).await,
        Fault::TierForgets => tier::forgets(&fleet, length).await,
        Fault::TierFailsOver => tier::fails_over(&fleet, length).await,
        Fault::Truncate => log::truncate(&fleet, length).await,
        Fault::PurgeUnread => log::purge_unread(&fleet, number, length).await,
        Fault::FloorOverflow => log::overflow_floors(&fleet, length).await,
        Fault::WallClock => log::set_clock(&fleet, length).await,
        Fault::LostTail => log::lose_tail(&fleet, 14, length).await,
        Fault::MadeAnew => log::lose_tail(&fleet, u64::MAX, length).await,
        Fault::NewEpoch => log::new_epoch(&fleet, length).await,
        Fault::ShortRetention | Fault::FloorCollisions | Fault::ClockDrift => {}
    }
    let now = shared.handle.now();
    shared.note(Scope::All, || format!("{fault:?} on pod {number} is over"));
    shared.with(|w| w.active(fault, false, now));
}
