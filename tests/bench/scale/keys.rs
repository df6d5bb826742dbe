//! Memory and processor time by the number of keys, with the local log.

use super::cpu::float;
use super::load::{KEY_BYTES, Load};
use super::subject::Subject;
use super::{Checked, page};
use crate::Result;

/// Bytes of every value.
const VALUE_BYTES: usize = 64;
/// Numbers of keys that are measured.
const KEYS: [usize; 6] = [10_000, 100_000, 400_000, 1_000_000, 5_000_000, 10_000_000];
/// The formula is taken from these.
const FITTED: [usize; 2] = [100_000, 1_000_000];
/// Entries that touch every page of the floors, and every buffer of the server.
const WARM: usize = 2_560;
/// Records after which the local log does not grow any more.
const LOG_RECORDS: usize = 65_536;
/// Most memory that a sidecar is made to take.
const MOST_BYTES: f64 = 12e9;

/// What the formula for memory is made of, in bytes.
#[derive(Clone, Copy)]
struct Memory {
    /// Of a sidecar that was used a little: its floors are there.
    used: f64,
    /// Of the log that is full.
    log: f64,
    /// Of an entry in L1 beside its key and its value.
    entry: f64,
}

impl Memory {
    /// What `keys` entries make it take.
    fn of(&self, keys: usize, bytes: usize) -> f64 {
        let records = float(keys.min(LOG_RECORDS)) / float(LOG_RECORDS);
        self.used + self.log * records + float(keys) * (self.entry + float(bytes))
    }

    /// Solved for two figures, both with a log that is full.
    fn through(used: f64, few: (usize, f64), many: (usize, f64), bytes: usize) -> Self {
        let each = (many.1 - few.1) / float(many.0 - few.0);
        Self {
            used,
            log: few.1 - used - float(few.0) * each,
            entry: each - float(bytes),
        }
    }
}

/// One line for each number of keys, and the formula.
pub(crate) async fn measure(sidecar: &str) -> Result<()> {
    let subject = Subject::start(sidecar, "64GiB").await?;
    let idle = subject.resident()?;
    let warm = Load::plain(WARM, VALUE_BYTES);
    subject.write(warm).await?;
    subject.read(warm).await?;
    let used = subject.resident()?;
    let bytes = KEY_BYTES + VALUE_BYTES;
    let mut rows: Vec<Row> = Vec::new();
    let mut from = 0;
    for to in KEYS {
        let last = rows.last().map_or(0.0, |row| row.1 / float(from));
        if last * float(to) > MOST_BYTES {
            break;
        }
        let load = Load {
            from,
            ..Load::plain(to, VALUE_BYTES)
        };
        let write = subject.write(load).await?;
        let read = subject.read(load.last(KEYS[0])).await?;
        rows.push((to, subject.resident()?, write, read));
        from = to;
    }
    let fitted = FITTED.map(|keys| rows.iter().find(|row| row.0 == keys));
    let [Some(few), Some(many)] = fitted else {
        return Err("the fitted numbers are among those measured".into());
    };
    let memory = Memory::through(used, (few.0, few.1), (many.0, many.1), bytes);
    page::write("keys", &table(&memory, idle, &rows))
}

/// Keys, resident bytes, microseconds to write one and to read one.
type Row = (usize, f64, f64, f64);

fn table(memory: &Memory, idle: f64, rows: &[Row]) -> String {
    let bytes = KEY_BYTES + VALUE_BYTES;
    let Memory { used, log, entry } = memory;
    let mut table = format!(
        "An idle sidecar takes {:.1} MiB.\n\n\
         resident = {:.0} MiB + {:.0} MiB × min(1, records / 65,536) + entries × (key + value + **{entry:.0} B**)\n\n\
         | entries of {bytes} B | resident | by the formula | error | CPU to write one | CPU to read one from L1 |\n\
         | --- | --- | --- | --- | --- | --- |\n",
        idle / MIB,
        used / MIB,
        log / MIB,
    );
    for (keys, resident, write, read) in rows {
        let checked = Checked {
            measured: *resident,
            predicted: memory.of(*keys, bytes),
        };
        let checked = checked.show(MIB, "MiB");
        table += &format!("| {keys} | {checked} | {write:.1} µs | {read:.1} µs |\n");
    }
    for keys in KEYS.into_iter().skip(rows.len()) {
        let predicted = memory.of(keys, bytes) / MIB;
        table += &format!("| {keys} | not measured here | {predicted:.0} MiB | | | |\n");
    }
    table
}

const MIB: f64 = 1024.0 * 1024.0;
