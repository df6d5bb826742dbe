//! Reads keys in every way there is and has every answer judged; what is
//! missing is loaded under a lease or set with a position.

use super::judge::Demand;
use super::{Client, key};
use crate::table::Operation;
use crate::world::KEYS;
use std::time::Duration;
use unstale_engine::position::Position;
use unstale_engine::request::{Answer, Etag, Get, GetOutcome, Level};

impl Client {
    pub(super) async fn read(self) {
        let mut held = [None; KEYS];
        let (think, early) = self.shared.with(|w| (w.mix.size.think, w.mix.early));
        loop {
            self.shared.delay(500, think).await;
            let number = self.shared.draw(KEYS);
            let demand = self.some_demand(number);
            let known = held[number].filter(|_| self.shared.chance(15));
            let Some(answer) = self.get_unless(number, demand, known).await else {
                continue;
            };
            match answer.result.found() {
                Some(found) => {
                    held[number] = Some(found.etag);
                    if early && self.shared.chance(20) {
                        self.load(number).await;
                    }
                    if self.sets() && self.shared.chance(6) {
                        self.load_and_set(number, answer.position).await;
                    }
                }
                None if self.sets() && self.shared.chance(30) => {
                    self.load_and_set(number, answer.position).await;
                }
                None => self.load_some(number).await,
            }
        }
    }

    /// Reads and never loads, so that nothing keeps it from reading again.
    pub(super) async fn look_often(self) {
        let (think, batches) = self.shared.with(|w| (w.mix.size.think, w.mix.batches));
        loop {
            self.shared.delay(500, think).await;
            let demand = Demand {
                level: self.some_level(),
                ..Demand::default()
            };
            match batches && self.shared.chance(60) {
                true => self.get_many(demand).await,
                false => drop(self.get(self.shared.draw(KEYS), demand).await),
            }
        }
    }

    pub(super) fn sets(&self) -> bool {
        self.writes() && !self.shared.with(|w| w.quiet)
    }

    fn some_demand(&self, number: usize) -> Demand {
        let within = self.shared.chance(8);
        let millis = self.shared.draw(1_500) as u64;
        Demand {
            min_position: self.some_position(number),
            level: self.some_level(),
            max_staleness: within.then(|| Duration::from_millis(millis)),
        }
    }

    fn some_level(&self) -> Level {
        match self.shared.draw(100) {
            0..8 => Level::Strong,
            8..24 => Level::StaleOk,
            _ => Level::Bounded,
        }
    }

    /// Now and then a position that an invalidation of the key returned.
    fn some_position(&self, number: usize) -> Option<Position> {
        if !self.shared.chance(10) {
            return None;
        }
        if self.shared.chance(40) {
            return self.shared.with(|w| w.judged.newest);
        }
        let known = self.shared.with(|w| w.judged.positions(number));
        (!known.is_empty()).then(|| known[self.shared.draw(known.len())])
    }

    /// One read, judged; none: an error.
    pub(crate) async fn get(&self, number: usize, demand: Demand) -> Option<Answer<GetOutcome>> {
        self.get_unless(number, demand, None).await
    }

    async fn get_unless(
        &self,
        number: usize,
        demand: Demand,
        held: Option<Etag>,
    ) -> Option<Answer<GetOutcome>> {
        let asked = self.asking(number, demand);
        self.count(demand, held);
        let get = Get {
            min_position: demand.min_position,
            level: demand.level,
            max_staleness: demand.max_staleness,
            if_none_match: held,
            ..Get::plain(key(number), self.deadline(500))
        };
        let answer = self.engine.get(get).await;
        self.shared.with(|w| w.judged.reads += 1);
        let answer = answer.ok()?;
        self.judge_reading(&asked, answer.position);
        if let Some(found) = answer.result.found() {
            self.judge(number, found, &asked);
        }
        Some(answer)
    }

    fn count(&self, demand: Demand, held: Option<Etag>) {
        self.shared.began(match demand.level {
            Level::Strong => Operation::GetStrong,
            Level::StaleOk => Operation::GetStaleOk,
            Level::Bounded => Operation::Get,
        });
        let others = [
            (demand.max_staleness.is_some(), Operation::GetWithin),
            (demand.min_position.is_some(), Operation::GetFrom),
            (held.is_some(), Operation::GetIfNoneMatch),
        ];
        let asked = others.into_iter().filter(|(asked, _)| *asked);
        asked.for_each(|(_, operation)| self.shared.began(operation));
    }
}
