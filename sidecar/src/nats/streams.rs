//! What the streams of a fleet must be: names, subjects, and the one judge
//! of their configuration.
//!
//! The drivers of the log and the references, the remote tier and `unstale check` all ask here, so
//! that a check approves exactly what `serve` accepts. Judges what the server
//! says; asks nothing itself.

use serde_json::Value;
use std::time::Duration;
use unstale_engine::limits;

/// The metadata that carries SESSION_TTL, in milliseconds.
pub(crate) const SESSION_TTL: &str = "unstale-session-ttl-ms";
/// The metadata that carries how long records are kept, in milliseconds.
pub(crate) const RETENTION: &str = "unstale-retention-ms";
/// What SESSION_TTL may be, as in the settings.
const SESSION_TTLS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(500)..=Duration::from_secs(600);
/// How long the server recognises a repeated record.
pub(crate) const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// The log's stream.
pub(crate) fn log_stream(fleet: &str) -> String {
    format!("UNSTALE_{fleet}_LOG")
}

/// Every subject of the log.
pub(crate) fn log_subjects(fleet: &str) -> String {
    format!("unstale.{fleet}.log.>")
}

/// The remote tier's stream.
pub(crate) fn data_stream(fleet: &str) -> String {
    format!("UNSTALE_{fleet}_DATA")
}

/// Every subject of the remote tier.
pub(crate) fn data_subjects(fleet: &str) -> String {
    format!("unstale.{fleet}.data.*")
}

/// The references' stream.
pub(crate) fn refs_stream(fleet: &str) -> String {
    format!("UNSTALE_{fleet}_REFS")
}

/// Every subject of the references: a key's hash and an owner's.
pub(crate) fn refs_subjects(fleet: &str) -> String {
    format!("unstale.{fleet}.refs.*.*")
}

/// What a log says about itself; every pod adopts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) session_ttl: Duration,
    pub(crate) retention: Duration,
}

/// What is wrong with a stream, each with what is safe.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// It cannot be used.
    pub(crate) wrong: Vec<String>,
    /// It works, but is unsafe or unwise.
    pub(crate) unwise: Vec<String>,
}

impl Verdict {
    /// Everything that forbids its use, on one line.
    pub(crate) fn refusal(&self) -> Option<String> {
        (!self.wrong.is_empty()).then(|| self.wrong.join("; "))
    }

    fn must(&mut self, good: bool, what: impl Into<String>) {
        if !good {
            self.wrong.push(what.into());
        }
    }

    fn should(&mut self, good: bool, what: impl Into<String>) {
        if !good {
            self.unwise.push(what.into());
        }
    }
}

/// The terms of a log, or why it has none. They are never guessed: two pods
/// that guess differently would not wait for each other.
pub(crate) fn terms(config: &Value) -> Result<Terms, String> {
    let read = |name: &str| {
        let text = config["metadata"][name].as_str();
        let millis = text.and_then(|text| text.parse().ok());
        millis
            .map(Duration::from_millis)
            .ok_or_else(|| format!("its metadata {name} is missing or not a number: it was not made by unstale; delete it, or give it a name of its own"))
    };
    let session_ttl = read(SESSION_TTL)?;
    if !SESSION_TTLS.contains(&session_ttl) {
        let (least, most) = (SESSION_TTLS.start(), SESSION_TTLS.end());
        return Err(format!(
            "its metadata {SESSION_TTL} says {session_ttl:?}; {least:?} to {most:?} is allowed"
        ));
    }
    let retention = read(RETENTION)?;
    if retention < limits::TTL_MAX {
        let (says, least) = (seconds(retention), seconds(limits::TTL_MAX));
        return Err(format!(
            "its metadata {RETENTION} says {says}; the longest ttl is {least}"
        ));
    }
    Ok(Terms {
        session_ttl,
        retention,
    })
}

/// Judges the stream of the fleet's log: no record may vanish unnoticed.
pub(crate) fn judge_log(config: &Value, fleet: &str) -> Verdict {
    let mut verdict = Verdict::default();
    judge_both(&mut verdict, config, &log_subjects(fleet));
    for field in ["deny_delete", "deny_purge"] {
        let text = format!("must have {field}: records could vanish unnoticed");
        verdict.must(config[field] == true, text);
    }
    let per_subject = limited(&config["max_msgs_per_subject"]);
    let text = "must not have max_msgs_per_subject: it deletes records that are needed";
    verdict.must(!per_subject, text);
    match terms(config) {
        Ok(terms) => {
            let age = config["max_age"].as_u64().unwrap_or(0);
            let (kept, said) = (Duration::from_nanos(age), terms.retention);
            let text = format!(
                "has max_age {}, but says that it keeps records for {}",
                seconds(kept),
                seconds(said)
            );
            verdict.must(age == 0 || kept >= said, text);
        }
        Err(why) => verdict.wrong.push(why),
    }
    for field in ["max_msgs", "max_bytes"] {
        let text = format!(
            "has {field}: what pods had not read may be discarded, and they call nothing fresh then; without it is safe"
        );
        verdict.should(!limited(&config[field]), text);
    }
    let window = config["duplicate_window"].as_u64().unwrap_or(0);
    let text = format!(
        "recognises repeated records too briefly; duplicate_window {DUPLICATE_WINDOW:?} is safe"
    );
    verdict.should(Duration::from_nanos(window) >= DUPLICATE_WINDOW, text);
    verdict
}

/// Judges the stream of the remote tier. A record may vanish there any time:
/// it only has to be writable and readable.
pub(crate) fn judge_data(config: &Value, fleet: &str) -> Verdict {
    let mut verdict = Verdict::default();
    judge_both(&mut verdict, config, &data_subjects(fleet));
    let text = "must have allow_direct: values are read by direct gets";
    verdict.must(config["allow_direct"] == true, text);
    let one = config["max_msgs_per_subject"] == 1;
    verdict.must(one, "must have max_msgs_per_subject 1: one record per key");
    let text = "has discard new: when it is full every write fails; discard old is safe";
    verdict.should(config["discard"] == "old", text);
    verdict
}

/// Judges the stream of the references: records end with their terms, and the
/// pods are told.
pub(crate) fn judge_refs(config: &Value, fleet: &str) -> Verdict {
    let mut verdict = Verdict::default();
    judge_both(&mut verdict, config, &refs_subjects(fleet));
    let one = config["max_msgs_per_subject"] == 1;
    let text = "must have max_msgs_per_subject 1: one record per key and owner";
    verdict.must(one, text);
    let text = "has no subject_delete_marker_ttl: pods are not told when a term has passed, and drop entries late";
    verdict.should(limited(&config["subject_delete_marker_ttl"]), text);
    for field in ["max_msgs", "max_bytes", "max_age"] {
        let text = format!("has {field}: references may end before their terms");
        verdict.should(!limited(&config[field]), text);
    }
    verdict
}

fn judge_both(verdict: &mut Verdict, config: &Value, subjects: &str) {
    let ours = |all: &Vec<Value>| all.iter().any(|subject| subject == subjects);
    let has = config["subjects"].as_array().is_some_and(ours);
    verdict.must(has, format!("must have the subject {subjects}"));
    let text = "must have allow_msg_ttl: records end with their ttl";
    verdict.must(config["allow_msg_ttl"] == true, text);
    let limits_kept = config["retention"] == "limits";
    verdict.must(limits_kept, "must have retention limits: readers share it");
    for field in ["mirror", "sources", "subject_transform"] {
        let text = format!("must not have {field}: its records are only its own");
        verdict.must(config[field].is_null(), text);
    }
    for field in ["sealed", "no_ack"] {
        let text = format!("must not have {field}: writes would fail");
        verdict.must(config[field] != true, text);
    }
    let size = config["max_msg_size"].as_u64().unwrap_or(0);
    let text = format!(
        "has max_msg_size {size}: larger records fail; {} is safe",
        limits::RECORD_BYTES
    );
    verdict.should(size == 0 || size >= limits::RECORD_BYTES as u64, text);
    let replicas = config["num_replicas"].as_u64().unwrap_or(1);
    let text = "has 1 replica: it is lost with its server; 3 is safe in production";
    verdict.should(replicas > 1, text);
    let text = "is kept in memory: a restart loses it; file is safe";
    verdict.should(config["storage"] != "memory", text);
}

/// Whether a limit of a stream is set: 0 and -1 mean that it is not.
fn limited(limit: &Value) -> bool {
    limit.as_i64().is_some_and(|limit| limit > 0)
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "subjects": ["unstale.f.log.>"], "retention": "limits", "num_replicas": 3,
            "storage": "file", "discard": "old", "max_age": 2_678_400_000_000_000_u64,
            "deny_delete": true, "deny_purge": true, "allow_msg_ttl": true,
            "duplicate_window": 120_000_000_000_u64, "max_msgs": -1, "max_bytes": -1,
            "metadata": { SESSION_TTL: "2000", RETENTION: "2678400000" },
        })
    }

    #[test]
    fn a_log_that_could_lose_records_or_says_no_terms_is_refused() {
        assert!(judge_log(&good(), "f").refusal().is_none());
        let spoilt = [
            ("deny_delete", json!(false)),
            ("deny_purge", json!(null)),
            ("allow_msg_ttl", json!(false)),
            ("max_msgs_per_subject", json!(1)),
            ("max_age", json!(60_000_000_000_u64)),
            ("retention", json!("workqueue")),
            ("subjects", json!(["orders.>"])),
            ("sources", json!([{ "name": "other" }])),
            ("metadata", json!(null)),
            (
                "metadata",
                json!({ SESSION_TTL: "2 s", RETENTION: "2678400000" }),
            ),
            (
                "metadata",
                json!({ SESSION_TTL: "0", RETENTION: "2678400000" }),
            ),
            (
                "metadata",
                json!({ SESSION_TTL: "2000", RETENTION: "60000" }),
            ),
        ];
        for (field, value) in spoilt {
            let mut config = good();
            config[field] = value.clone();
            let refusal = judge_log(&config, "f").refusal();
            let refusal = refusal.unwrap_or_else(|| panic!("{field} {value} passes"));
            assert!(!refusal.contains("; must have"), "only {field}: {refusal}");
        }
    }

    #[test]
    fn a_stream_of_references_keeps_one_record_each_and_tells_of_ends() {
        let good = json!({
            "subjects": ["unstale.f.refs.*.*"], "retention": "limits", "num_replicas": 3,
            "storage": "file", "allow_msg_ttl": true, "max_msgs_per_subject": 1,
            "subject_delete_marker_ttl": 60_000_000_000_u64, "max_age": 0, "max_bytes": -1,
        });
        let with = |field: &str, value: Value| {
            let mut config = good.clone();
            config[field] = value;
            judge_refs(&config, "f")
        };
        let verdict = judge_refs(&good, "f");
        assert_eq!((verdict.wrong.len(), verdict.unwise.len()), (0, 0));
        assert!(with("max_msgs_per_subject", json!(-1)).refusal().is_some());
        assert!(with("allow_msg_ttl", json!(false)).refusal().is_some());
        let unwise = with("subject_delete_marker_ttl", json!(null));
        assert_eq!((unwise.wrong.len(), unwise.unwise.len()), (0, 1));
        assert_eq!(with("max_bytes", json!(1024)).unwise.len(), 1);
    }

    #[test]
    fn what_is_unwise_is_named_and_not_refused() {
        for (field, value) in [
            ("max_msgs", json!(5)),
            ("max_bytes", json!(1024)),
            ("num_replicas", json!(1)),
            ("storage", json!("memory")),
            ("max_msg_size", json!(1024)),
            ("duplicate_window", json!(1)),
        ] {
            let mut config = good();
            config[field] = value;
            let verdict = judge_log(&config, "f");
            assert_eq!(verdict.refusal(), None, "{field}");
            assert_eq!(verdict.unwise.len(), 1, "{field}: {verdict:?}");
        }
    }
}
