//! Keys that are written rather than loaded: STRONG reads, sets and
//! compare-and-sets, which together must look like a register.

use super::drive::{REGISTERS, Run};
use unstale::{
    Ack, CasOutcome, EntryOptions, Expected, Freshness, Lookup, ReadLevel, ReadOptions, SetOptions,
    SetOutcome,
};
use unstale_checker::linear::{Access, Call, Ended, Register};

/// What a read found: the value and its version, for a compare-and-set.
type Seen = Option<(u64, String)>;

impl Run {
    /// One call on one register; a compare-and-set is two.
    pub(super) async fn access(&self, endpoint: usize) {
        if self.rules().suspended(self.now()) {
            return;
        }
        let place = self.draw(REGISTERS);
        let register = self.registers().current(place);
        match self.draw(4) {
            0 => self.set_register(endpoint, register).await,
            1 => drop(self.read_register(endpoint, register).await),
            _ => self.swap_register(endpoint, register).await,
        }
        let broken = self.registers().settled();
        self.not_linearizable(broken);
    }

    /// Nothing for an error.
    async fn read_register(&self, endpoint: usize, register: Register) -> Option<Seen> {
        let (call, key) = self.call(endpoint, register, Access::Read)?;
        let options = ReadOptions::default().level(ReadLevel::Strong);
        let got = self.endpoints.0[endpoint]
            .cache
            .get_with(key, options)
            .await;
        let answer = self.ended(endpoint, got);
        let seen = answer.map(|answer| self.seen(endpoint, register, answer.result));
        let ended = seen.as_ref().map(|seen| match seen {
            Some((value, _)) => Ended::Found(*value),
            None => Ended::Nothing,
        });
        self.end(&call, ended);
        seen
    }

    fn seen(&self, endpoint: usize, register: Register, found: Lookup) -> Seen {
        let Lookup::Hit(entry) = found else {
            return None;
        };
        self.figures().endpoints[endpoint].judged += 1;
        let text = String::from_utf8_lossy(entry.value.as_bytes()).into_owned();
        let value = self.registers().value(register, &text);
        let Some(value) = value else {
            let key = self.registers().key(register);
            let what = format!("{text:?} was returned for {key}");
            self.broke_register("I-11 wrong key", Some(endpoint), what);
            return None;
        };
        let fresh = entry.freshness == Freshness::Fresh;
        fresh.then_some((value, entry.version))
    }

    async fn set_register(&self, endpoint: usize, register: Register) {
        let Some((call, key)) = self.call(endpoint, register, Access::Set) else {
            return;
        };
        let text = self.registers().text(register, call.value);
        let ack = self.some_ack();
        let cache = &self.endpoints.0[endpoint].cache;
        let set = cache
            .set_with(key, text, SetOptions::default().ack(ack))
            .await;
        let answer = self.ended(endpoint, set);
        let stored = answer.map(|answer| matches!(answer.result, SetOutcome::Stored { .. }));
        self.end(&call, stored.map(wrote));
    }

    async fn swap_register(&self, endpoint: usize, register: Register) {
        let Some(seen) = self.read_register(endpoint, register).await else {
            return;
        };
        self.pace.turn().await;
        let access = Access::Swap(seen.as_ref().map(|(value, _)| *value));
        let Some((call, key)) = self.call(endpoint, register, access) else {
            return;
        };
        let text = self.registers().text(register, call.value);
        let expected = seen.map_or(Expected::Absent, |(_, version)| Expected::Version(version));
        let (entry, ack) = (EntryOptions::default(), self.some_ack());
        let cache = &self.endpoints.0[endpoint].cache;
        let swap = cache.compare_and_set(key, expected, text, entry, ack).await;
        let answer = self.ended(endpoint, swap);
        let stored = answer.map(|answer| matches!(answer.result, CasOutcome::Stored { .. }));
        self.end(&call, stored.map(wrote));
    }

    /// A call begins; none when the register is full.
    fn call(&self, endpoint: usize, register: Register, access: Access) -> Option<(Call, String)> {
        let now = self.now();
        let mut registers = self.registers();
        let call = registers.begin(register, endpoint, access, now)?;
        Some((call, registers.key(register)))
    }

    fn end(&self, call: &Call, ended: Option<Ended>) {
        let now = self.now();
        self.registers().end(call, ended, now);
    }

    fn some_ack(&self) -> Ack {
        match self.draw(4) {
            0 => Ack::Fleet,
            _ => Ack::Log,
        }
    }
}

fn wrote(stored: bool) -> Ended {
    if stored { Ended::Wrote } else { Ended::Nothing }
}
