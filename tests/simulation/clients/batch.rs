//! Reads several keys with one call, one of them twice now and then, and has
//! every answer judged as that of a single read. What was found is set again at
//! the answer's position in some schedules.

use super::derived::Made;
use super::judge::Demand;
use super::{Client, key};
use crate::table::Operation;
use crate::world::KEYS;
use unstale_engine::request::{Answer, GetMany, GetOutcome};

impl Client {
    pub(super) async fn get_many(&self, demand: Demand) {
        let count = 2 + self.shared.draw(KEYS);
        let numbers: Vec<_> = (0..count).map(|_| self.shared.draw(KEYS)).collect();
        let asked = numbers.iter().map(|number| self.asking(*number, demand));
        let asked: Vec<_> = asked.collect();
        self.shared.began(Operation::BatchGet);
        let many = GetMany {
            keys: numbers.iter().map(|number| key(*number)).collect(),
            min_position: demand.min_position,
            level: demand.level,
            max_staleness: demand.max_staleness,
            deadline: self.deadline(500),
        };
        let answer = self.engine.get_many(many).await;
        self.shared.with(|w| w.judged.reads += count as u64);
        let Ok(answer) = answer else { return };
        assert_eq!(answer.result.len(), count, "one outcome per key");
        self.judge_reading(&asked[0], answer.position);
        for ((number, asked), outcome) in numbers.iter().zip(&asked).zip(&answer.result) {
            if let Some(found) = outcome.found() {
                self.judge(*number, found, asked);
                self.judge_there(*number, found, asked, answer.position);
            }
        }
        if self.sets_again() {
            self.set_again(&numbers, &answer).await;
        }
    }

    fn sets_again(&self) -> bool {
        let derives = self.shared.with(|w| w.mix.derives);
        derives && self.sets() && self.shared.chance(30)
    }

    /// Sets one of what was answered, at the answer's position: as a value that
    /// is made of it.
    async fn set_again(&self, numbers: &[usize], answer: &Answer<Vec<GetOutcome>>) {
        let each = numbers.iter().zip(&answer.result);
        let fresh = each.filter_map(|(number, outcome)| {
            let found = outcome.found().filter(|found| found.stale.is_none())?;
            let (of, value) = self.content(found)?;
            (of == *number).then_some((of, value))
        });
        let fresh: Vec<_> = fresh.collect();
        if fresh.is_empty() {
            return;
        }
        let (number, value) = fresh[self.shared.draw(fresh.len())];
        self.shared.delay(100, 400_000).await;
        let made = Made::default();
        self.set(number, value, answer.position, made).await;
    }
}
