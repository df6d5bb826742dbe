//! Memory and processor time by the number of tags of an entry, and by the
//! number of namespaces that entries are spread over.

use super::cpu::float;
use super::load::{Load, TAG_BYTES};
use super::subject::Subject;
use super::{Checked, page};
use crate::Result;

/// Entries of every row.
const KEYS: usize = 100_000;
/// Bytes of every value.
const VALUE_BYTES: usize = 64;
/// Tags of an entry. The formula is taken from the first and the last.
const TAGS: [usize; 4] = [0, 1, 4, 16];
/// Namespaces.
const NAMESPACES: [usize; 3] = [1, 16, 390];

/// Both tables.
pub(crate) async fn measure(sidecar: &str) -> Result<()> {
    let plain = Load::plain(KEYS, VALUE_BYTES);
    let mut rows = Vec::new();
    for tags in TAGS {
        rows.push((tags, row(sidecar, Load { tags, ..plain }).await?));
    }
    page::write("tags", &tags_table(&rows))?;
    let mut rows = Vec::new();
    for namespaces in NAMESPACES {
        let load = Load {
            namespaces,
            ..plain
        };
        rows.push((namespaces, row(sidecar, load).await?));
    }
    page::write("namespaces", &namespaces_table(&rows))
}

const MIB: f64 = 1024.0 * 1024.0;

/// Resident bytes, and microseconds to write and to read an entry.
type Row = (f64, f64, f64);

async fn row(sidecar: &str, load: Load) -> Result<Row> {
    let subject = Subject::start(sidecar, "4GiB").await?;
    let write = subject.write(load).await?;
    let read = subject.read(load).await?;
    Ok((subject.resident()?, write, read))
}

fn namespaces_table(rows: &[(usize, Row)]) -> String {
    let Some((_, one)) = rows.first() else {
        return String::new();
    };
    let mut table = String::from(
        "resident and processor time = those in one namespace\n\n\
         | namespaces | resident | by the formula | error | CPU to write one | CPU to read one from L1 | by the formula | error |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (namespaces, (resident, write, read)) in rows {
        let resident = checked(*resident, one.0).show(MIB, "MiB");
        let read = checked(*read, one.2).show(1.0, "µs");
        table += &format!("| {namespaces} | {resident} | {write:.1} µs | {read} |\n");
    }
    table
}

fn checked(measured: f64, predicted: f64) -> Checked {
    Checked {
        measured,
        predicted,
    }
}

fn tags_table(rows: &[(usize, Row)]) -> String {
    let [(_, none), .., (most, all)] = rows else {
        return String::new();
    };
    let tags = float(KEYS * most);
    let memory = (all.0 - none.0) / tags - float(TAG_BYTES);
    let cpu = (all.2 - none.2) / float(*most);
    let mut table = format!(
        "resident = that without tags + entries × tags × (its bytes + **{memory:.0} B**); \
         a read takes {:.0} ns more for each tag\n\n\
         | tags of an entry | resident | by the formula | error | CPU to write one | CPU to read one from L1 | by the formula | error |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        cpu * 1e3,
    );
    for (tags, (resident, write, read)) in rows {
        let bytes = memory + float(TAG_BYTES);
        let resident = checked(*resident, none.0 + float(KEYS * tags) * bytes);
        let resident = resident.show(MIB, "MiB");
        let read = checked(*read, none.2 + float(*tags) * cpu).show(1.0, "µs");
        table += &format!("| {tags} | {resident} | {write:.1} µs | {read} |\n");
    }
    table
}
