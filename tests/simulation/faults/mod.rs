//! What goes wrong: one function per fault.

mod log;
mod pod;
mod tier;

use crate::fleet::Fleet;
use crate::timeline::Scope;
use crate::world::NOBODY;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A pod's link to the log: both ways, then one way each.
    Cut,
    CutSends,
    CutReceives,
    /// SIGSTOP: its clock goes on.
    Pause,
    /// Killed and started again.
    Crash,
    /// Leaves, is stopped and started again.
    Drain,
    /// The log's deliveries stop or trickle; answers come.
    SlowReader,
    /// Requests take up to 0.9 s, longer than callers wait.
    SlowNetwork,
    /// Deliveries come twice, and those of dead incarnations still come.
    Duplicates,
    /// Answers, words and deliveries get lost.
    Lossy,
    TierAway,
    /// Reads of the tier come from a lagging replica.
    TierLags,
    /// The tier drops keys.
    TierForgets,
    /// The tier goes back to an old copy.
    TierFailsOver,
    /// The log discards its oldest records.
    Truncate,
    /// The log loses its newest records, and uses their sequences again.
    LostTail,
    /// The log is deleted and made anew.
    MadeAnew,
    /// Somebody declares a new epoch.
    NewEpoch,
    /// Lasting: records, Joins too, are discarded within seconds.
    ShortRetention,
    /// Lasting: names share their floors.
    FloorCollisions,
    /// Lasting: every clock is 2 % off.
    ClockDrift,
}

impl Fault {
    pub(crate) const TIMED: [Self; 18] = [
        Self::Cut,
        Self::CutSends,
        Self::CutReceives,
        Self::Pause,
        Self::Crash,
        Self::Drain,
        Self::SlowReader,
        Self::SlowNetwork,
        Self::Duplicates,
        Self::Lossy,
        Self::TierAway,
        Self::TierLags,
        Self::TierForgets,
        Self::TierFailsOver,
        Self::Truncate,
        Self::LostTail,
        Self::MadeAnew,
        Self::NewEpoch,
    ];

    /// In the order of the declaration.
    pub(crate) const ALL: [Self; 21] = {
        let mut all = [Self::ShortRetention; 21];
        let mut at = 0;
        while at < Self::TIMED.len() {
            all[at] = Self::TIMED[at];
            at += 1;
        }
        all[19] = Self::FloorCollisions;
        all[20] = Self::ClockDrift;
        all
    };

    /// In how many of a hundred runs it is drawn. A new epoch ends what other
    /// faults might show.
    pub(crate) fn share(self) -> u64 {
        match self {
            Self::LostTail | Self::MadeAnew | Self::NewEpoch => 12,
            Self::Truncate => 30,
            _ => 45,
        }
    }
}

/// Draws faults until they end; returns when the last is over.
pub(crate) async fn run(fleet: Fleet) {
    let shared = &fleet.shared;
    let lasting: Vec<_> = shared.with(|w| w.mix.lasting().collect());
    lasting
        .iter()
        .for_each(|f| shared.with(|w| w.active(*f, true, 0)));
    let (pace, size) = shared.with(|w| (w.mix.pace, w.mix.size));
    while shared.handle.now() < size.faults_until {
        shared.delay(50_000, pace).await;
        let (fault, length) = shared.with(|w| {
            let fault = w.mix.clone().next_fault(&mut w.rng);
            (fault, w.rng.range(50_000, size.longest))
        });
        let number = shared.draw(fleet.size());
        shared
            .handle
            .spawn(NOBODY, strike(fleet.clone(), fault, number, length));
    }
    shared.handle.until(size.over() + 1_000_000).await;
    let now = shared.handle.now();
    lasting
        .iter()
        .for_each(|f| shared.with(|w| w.active(*f, false, now)));
}

async fn strike(fleet: Fleet, fault: Fault, number: usize, length: u64) {
    let shared = &fleet.shared;
    let over = shared.with(|w| w.mix.size.over());
    let length = length.min(over.saturating_sub(shared.handle.now()));
    shared.note(Scope::All, || {
        format!("{fault:?} on pod {number} for {length}")
    });
    shared.with(|w| w.active(fault, true, 0));
    match fault {
        Fault::Cut => pod::cut(&fleet, number, length, (1, 1)).await,
        Fault::CutSends => pod::cut(&fleet, number, length, (1, 0)).await,
        Fault::CutReceives => pod::cut(&fleet, number, length, (0, 1)).await,
        Fault::Pause => pod::pause(&fleet, number, length).await,
        Fault::Crash => pod::crash(&fleet, number).await,
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
        Fault::LostTail => log::lose_tail(&fleet, 14, length).await,
        Fault::MadeAnew => log::lose_tail(&fleet, u64::MAX, length).await,
        Fault::NewEpoch => log::new_epoch(&fleet, length).await,
        Fault::ShortRetention | Fault::FloorCollisions | Fault::ClockDrift => {}
    }
    let now = shared.handle.now();
    shared.note(Scope::All, || format!("{fault:?} on pod {number} is over"));
    shared.with(|w| w.active(fault, false, now));
}
