//! What a run showed, for people and as JSON.

use super::super::spread::Spread;
use super::drive::Run;
use super::figures::Figures;
use super::gaps::{self, Own};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::time::Duration;
use unstale_checker::Violation;
use unstale_checker::linear::Tally;

/// Violations that are shown to people; all are counted.
const SHOWN: usize = 10;

/// What a run showed.
pub(super) struct Report {
    namespace: String,
    fleet: String,
    took: Duration,
    bound: Duration,
    urls: Vec<String>,
    figures: Figures,
    linear: Tally,
    own: Vec<Own>,
    broken: Vec<Violation>,
}

impl Run {
    /// What was seen so far.
    pub(super) fn report(&self, namespace: &str) -> Report {
        let endpoints = &self.endpoints.0;
        let rules = self.rules();
        let own = (0..endpoints.len()).map(|pod| Own {
            restarts: rules.restarts(pod),
            doubts: rules.doubts(pod),
        });
        Report {
            namespace: namespace.to_owned(),
            fleet: endpoints[0].fleet.clone(),
            took: self.now(),
            bound: self.endpoints.bound(),
            urls: endpoints.iter().map(|e| e.url.clone()).collect(),
            figures: self.figures().clone(),
            linear: self.registers().tally(),
            own: own.collect(),
            broken: rules.broken().to_vec(),
        }
    }
}

impl Report {
    /// Whether a promise was broken.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// What was to be judged and never was.
    pub(super) fn gaps(&self) -> Vec<String> {
        gaps::gaps(&self.urls, &self.figures, self.linear)
    }

    /// All that was not judged.
    fn not_judged(&self) -> Vec<String> {
        let caveats = gaps::caveats(&self.urls, &self.own);
        self.gaps().into_iter().chain(caveats).collect()
    }

    fn result(&self) -> &'static str {
        match (self.is_broken(), self.gaps().is_empty()) {
            (true, _) => "broken",
            (false, true) => "kept",
            (false, false) => "not judged",
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (took, bound) = (seconds(self.took), seconds(self.bound));
        let fleet = &self.fleet;
        writeln!(
            text,
            "fleet {fleet:?}, namespace {:?}, {took}, bound D {bound}",
            self.namespace
        )?;
        self.write_endpoints(text)?;
        let Figures {
            loads,
            invalidations: [local, log, fleet],
            ..
        } = self.figures;
        let Tally {
            histories,
            calls,
            unknown,
        } = self.linear;
        writeln!(
            text,
            "\n{loads} loads; invalidations: {local} LOCAL, {log} LOG, {fleet} FLEET"
        )?;
        write!(
            text,
            "{histories} histories of {calls} writes and STRONG reads were searched for an order"
        )?;
        match unknown {
            0 => writeln!(text)?,
            some => writeln!(text, " ({some} given up)")?,
        }
        for violation in self.broken.iter().take(SHOWN) {
            writeln!(text, "BROKEN {}", self.words(violation))?;
        }
        for what in self.not_judged() {
            writeln!(text, "NOT JUDGED: {what}")?;
        }
        writeln!(text, "{}", self.verdict())
    }

    fn write_endpoints(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\n{:<34} {:>8} {:>8} {:>7}   {:<26} {:<26}",
            "", "", "", "", "older value after LOG", "LOG asked for to seen"
        )?;
        writeln!(
            text,
            "{:<34} {:>8} {:>8} {:>7}   {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
            "pod", "calls", "judged", "errors", "p50", "p99", "max", "p50", "p99", "max", "of"
        )?;
        for (number, (url, figures)) in self.urls.iter().zip(&self.figures.endpoints).enumerate() {
            let (stale, seen) = (Spread::of(&figures.stale), Spread::of(&figures.observed));
            let errors: u64 = figures.errors.values().sum();
            let name = format!("{number} {url}");
            write!(
                text,
                "{name:<34} {:>8} {:>8} {errors:>7}  ",
                figures.calls, figures.judged
            )?;
            for time in [
                stale.p50, stale.p99, stale.max, seen.p50, seen.p99, seen.max,
            ] {
                write!(text, " {:>8}", millis(time))?;
            }
            writeln!(text, " {:>6}", seen.count)?;
        }
        let all = self.urls.iter().zip(&self.figures.endpoints);
        for (url, figures) in all.filter(|(_, figures)| !figures.errors.is_empty()) {
            let errors = figures
                .errors
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"));
            writeln!(
                text,
                "errors of {url}: {}",
                errors.collect::<Vec<_>>().join(", ")
            )?;
        }
        Ok(())
    }

    fn words(&self, broken: &Violation) -> String {
        let key = broken.key.map(|key| format!("key {key}, "));
        let url = broken.pod.map(|pod| format!("{}, ", self.urls[pod]));
        let (key, url) = (key.unwrap_or_default(), url.unwrap_or_default());
        format!("{}: {key}{url}{}", broken.rule, broken.what)
    }

    fn verdict(&self) -> String {
        let judged = self.figures.judged();
        format!("{} in {judged} answers broke a promise", self.broken.len())
    }

    /// As one object.
    pub(super) fn json(&self) -> Json {
        let all = self.urls.iter().zip(&self.figures.endpoints);
        let endpoints = all.map(|(url, figures)| {
            json!({
                "endpoint": url,
                "calls": figures.calls,
                "judged": figures.judged,
                "errors": figures.errors,
                "older_value_after_log_seconds": spread(&figures.stale),
                "log_to_seen_seconds": spread(&figures.observed),
            })
        });
        let [local, log, fleet] = self.figures.invalidations;
        let broken = self.broken.iter().map(|broken| {
            let endpoint = broken.pod.map(|pod| &self.urls[pod]);
            json!({
                "rule": broken.rule,
                "key": broken.key,
                "endpoint": endpoint,
                "what": broken.what,
            })
        });
        json!({
            "result": self.result(),
            "not_judged": self.not_judged(),
            "fleet": self.fleet,
            "namespace": self.namespace,
            "seconds": self.took.as_secs_f64(),
            "staleness_bound_seconds": self.bound.as_secs_f64(),
            "judged": self.figures.judged(),
            "violations": broken.collect::<Vec<_>>(),
            "endpoints": endpoints.collect::<Vec<_>>(),
            "loads": self.figures.loads,
            "invalidations": { "local": local, "log": log, "fleet": fleet },
            "linearizability": {
                "histories": self.linear.histories,
                "calls": self.linear.calls,
                "given_up": self.linear.unknown,
            },
        })
    }
}

fn spread(samples: &[Duration]) -> Json {
    let Spread {
        count,
        p50,
        p99,
        max,
        ..
    } = Spread::of(samples);
    let [p50, p99, max] = [p50, p99, max].map(|time| time.as_secs_f64());
    json!({ "count": count, "p50": p50, "p99": p99, "max": max })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn millis(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        _ => seconds(time),
    }
}
