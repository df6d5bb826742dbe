//! Reads several keys with one call, one of them twice now and then, and has
//! every answer judged as that of a single read.

use super::judge::Demand;
use super::{Client, key};
use crate::table::Operation;
use crate::world::KEYS;
use unstale_engine::request::GetMany;

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
    }
}
