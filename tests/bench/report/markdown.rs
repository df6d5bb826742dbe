//! The tables, as markdown.

use super::Report;
use super::pictures::Drawn;
use crate::figure::{Figure, size};
use crate::goal::HEAD;
use crate::part::Part;
use crate::samples;
use std::fmt::Write as _;
use std::time::Duration;

/// What is measured nowhere in this run, and why.
const ABSENT: &str = "Not measured here: the read through shared memory (it does not exist yet), Dapr's state API (not \
installed), and library caches for .NET and Python (FusionCache needs .NET; cashews is a client cache of one process). A table has a column if one of its rows has something for it; an \
empty cell is a quantile that too few calls stand for, or what no server of the row takes part in (a library in the \
application's own process).";

/// What was done about goals that are missed, here or on most machines.
const MISSED: &str = "\
## Missed, and what was tried\n\n\
By how much is in the column of values above. Decisions \
[12](../sidecar/docs/decisions/0012-many-calls-on-one-stream.md), \
[13](../sidecar/docs/decisions/0013-what-made-the-hit-path-cheap.md), \
[14](../sidecar/docs/decisions/0014-a-thread-per-core-serves-connections.md) and \
[15](../sidecar/docs/decisions/0015-what-else-was-tuned.md) have what was tried, with its figures, kept and dropped.\n\n\
- Unary hits, beside the echo: what decisions 13 and 14 tell of. One size over one transport is missed in a run, another in the \
next: on 27 November 2026 64 B over TCP in one (p50 1.17, p99 1.23, processor time 1.28), the processor time of 64 B over the Unix \
socket in another (1.23); why was not looked for.\n\
- 16 in flight on a stream, beside Redis and Valkey: a thread for each core, no router and no future for a hit, another \
allocator, fat LTO; a client that moves no calls and whose stream's task handles bytes, which was nearly twice the rate \
(decision 15). Answers that are ready in one write are kept for TCP only. HTTP/2 frames, protobuf messages and a task for each \
call of the client are what RESP has not.\n\
- BatchGet of 100 from L1, beside MGET: names hashed in one step, answers written from the engine's types, floors fetched \
before they are judged: less than half of the instructions it took. An entry carries its version, etag, times and tier, and each is judged; \
a value of Redis is its bytes.\n\
- BatchGet of 100 from a remote tier: 31,900 instructions a key became 15,200. Tried and dropped, because no gain could be \
told: L1 filled after the answer; parts unpacked on several cores. A build guided by a profile brings not what is \
missing (2 to 20 %, by tier). \
Each record is checked, judged and put into L1, which a bare MGET does not do.\n\
- Get from a remote tier: around 1.3 for 1 KiB, above and below from run to run and tier to tier; mostly more for 16 KiB and \
for many in flight, of which the cause was not looked for. A fifth of the instructions were taken off (decision 13), and the \
remote tier shares its thread with the first connections: on a thread of its own it took 1.7 (decision 14). The value is \
checked, judged against the log and put into L1, as in a batch.\n\
- LOG: the pod's own echo is waited for, as the reference waits for its; what comes on top is the record, the pod's work on \
it, and the wait of those who share two cores, with more pods the more: the reference has one consumer, \
whatever the number of pods. After each, the pod looks whether the remote tier still has what was invalidated, while the next \
one is under way: without that read the ratio of one pod and one in flight was 1.36 and 1.26, with it 1.45 and 1.78 (two runs each, in turns). \
Put off and done for many keys at once it was 1.35 in place of 1.43 (a run each), for a p99 of 0.70 ms in place of 0.45: dropped (decision 15). \
It stays, as it frees what the tier would keep until its ttl.\n\
- Publish to apply: it holds a call of gRPC, the append with its acknowledgement of a stream that is on disk, and the event \
of a watch; core NATS delivers without a disk and without the two calls of gRPC. The row below it has the same append and \
its echo. The log is on the process's own thread, \
where what it brings is judged and told without waking another (decision 14); a thread of its own for the log was not tried.\n\
- Idle memory in NATS and Redis: three quarters of it are pages of the program's own file. Fat LTO made it a MiB less; a \
thread less, mimalloc without eager commit and log filters without regular expressions were tried and dropped (decision 15). A run \
that said 32.6 MiB led to the table of floors, which was made anew for each epoch of the log and could become resident as a whole: it is cleared \
in place now.\n\
- A decorated Python function: beyond its get it took 1.8 to 5.6 µs, and takes 8 to 10 since a get itself is 3 µs faster; it \
asks for a lease. Where the rest comes from was not looked for.";

/// The whole page.
pub(super) fn page(report: &Report, pictures: &[Drawn]) -> String {
    let mut page = String::from("# Figures\n\n");
    let _ = writeln!(page, "{}\n", head(report));
    let _ = writeln!(
        page,
        "## Goals\n\n{}\n\n{ABSENT}\n\n{MISSED}\n",
        goals(&report.parts)
    );
    for Drawn { file, title } in pictures {
        let _ = writeln!(page, "![{title}](figures/{file})\n");
    }
    for part in &report.parts {
        let _ = writeln!(page, "{}\n", self::part(part));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn head(report: &Report) -> String {
    let Report {
        machine,
        command,
        seconds,
        ..
    } = report;
    format!(
        "Written by `{command}` on {}, commit {}, in {seconds} s; one part alone by the command beside its title. The same \
in [figures.json](figures.json).\n\n\
Everything ran on one machine: {} ({} cores), {}, load {} before the run; {}. Client and servers share its cores, so that \
only what stands in one table may be compared. Each comparison took turns in rounds; all answers were checked, those of \
batches by their number, size and tier, those of redis-benchmark by itself or not at all. The bare echo is stock tonic: \
tokio's default runtime and the system's allocator. A p99 or p99.9 needs ten calls above it. `CPU/op` is \
user and system time of the processes that served it, by operation; a client's is not in it. RSS is theirs, too. Two \
times under a goal are p50 / p99, and the ratio is that of the p50s.",
        machine.date,
        machine.commit,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load,
        machine.versions.join("; "),
    )
}

/// The figures with goals or references, of all parts.
pub(super) fn goals(parts: &[Part]) -> String {
    let rows = parts.iter().flat_map(|part| &part.goals);
    let lines: Vec<_> = rows.map(|row| row.line()).collect();
    format!("{HEAD}\n{}", lines.join("\n"))
}

/// One part: its words and its figures.
pub(super) fn part(part: &Part) -> String {
    let Part {
        name, title, words, ..
    } = part;
    let mut text = format!("## {title}\n\n`tests/bench/run {name}`. {words}\n\n");
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| part.figures.iter().any(|f| (column.of)(f).is_some()))
        .collect();
    let names = columns.iter().map(|column| column.name);
    let _ = writeln!(text, "| {} |", names.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(text, "|{}", " --- |".repeat(columns.len()));
    for figure in &part.figures {
        let cells = columns
            .iter()
            .map(|column| (column.of)(figure).unwrap_or_default());
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text.truncate(text.trim_end().len());
    text
}

/// A column, which a table has if a figure has something for it.
struct Column {
    name: &'static str,
    of: fn(&Figure) -> Option<String>,
}

const COLUMNS: &[Column] = &[
    Column {
        name: "work",
        of: |f| Some(f.row.clone()),
    },
    Column {
        name: "on",
        of: |f| Some(f.what.clone()),
    },
    Column {
        name: "value",
        of: |f| f.bytes.map(size),
    },
    Column {
        name: "in flight",
        of: |f| f.in_flight.map(|n| n.to_string()),
    },
    Column {
        name: "pods",
        of: |f| f.pods.map(|n| n.to_string()),
    },
    Column {
        name: "p50",
        of: |f| time(f.p50_us),
    },
    Column {
        name: "p99",
        of: |f| time(f.p99_us),
    },
    Column {
        name: "p99.9",
        of: |f| time(f.p999_us),
    },
    Column {
        name: "op/s",
        of: |f| f.per_second.map(|rate| format!("{rate:.0}")),
    },
    Column {
        name: "CPU/op",
        of: |f| f.cpu_us.map(|us| format!("{us:.1} µs")),
    },
    Column {
        name: "RSS",
        of: |f| {
            f.rss_kib
                .map(|kib| format!("{:.1} MiB", kib as f64 / 1024.0))
        },
    },
    Column {
        name: "calls",
        of: |f| (f.calls > 0).then(|| f.calls.to_string()),
    },
    Column {
        name: "and",
        of: |f| f.note.clone(),
    },
];

fn time(us: f64) -> Option<String> {
    (us > 0.0).then(|| samples::time(Duration::from_secs_f64(us / 1e6)))
}
