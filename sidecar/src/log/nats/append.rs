//! Appending once, and saying truthfully what is known afterwards.

use super::names::Names;
use crate::nats::api::{self, Failure};
use crate::nats::link::Link;
use async_nats::Client;
use async_nats::header::HeaderMap;
use unstale_engine::log::{Append, Appended, BEAT_TTL, Subject};

pub(super) async fn append(
    client: &Client,
    link: &Link,
    names: &Names,
    append: Append,
) -> Appended {
    if append.payload.len() >= client.max_payload() {
        return Appended::NotSent("the record is larger than the server allows".to_owned());
    }
    let headers = headers(&append);
    let subject = names.subject(append.subject);
    let appended = match api::publish(client, subject, headers, append.payload).await {
        Ok(sequence) => Appended::At(sequence),
        Err(failure) => outcome(failure, link),
    };
    if matches!(appended, Appended::Unknown(_) | Appended::Held) {
        let id = format_args!("{:032x}", append.id.0);
        tracing::debug!(%id, ?appended, "not known to be appended");
    }
    appended
}

/// The newest sequence on a subject, asked of the stream's leader.
pub(super) async fn last(client: &Client, names: &Names, subject: Subject) -> Result<u64, String> {
    let newest = api::newest(client, &names.stream(), &names.subject(subject)).await;
    match newest {
        Ok(found) => Ok(found.map_or(0, |(sequence, _)| sequence)),
        Err(failure) => Err(failure.text()),
    }
}

fn headers(append: &Append) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("{:032x}", append.id.0));
    if matches!(append.subject, Subject::Beats(_)) {
        headers.insert("Nats-TTL", format!("{}s", BEAT_TTL.as_secs()));
    }
    if let Some(last) = append.expect_last {
        headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string());
    }
    headers
}

fn outcome(failure: Failure, link: &Link) -> Appended {
    match failure {
        Failure::NotSent(why) => Appended::NotSent(why),
        Failure::NoAnswer(why) => Appended::Unknown(link.denied().unwrap_or(why)),
        Failure::NobodyThere => Appended::Unknown("the log has no leader".to_owned()),
        Failure::Refused { code, .. } if api::CONFLICTS.contains(&code) => Appended::Conflict,
        Failure::Refused { code, .. } if code == api::IN_PROCESS => Appended::Held,
        refused @ Failure::Refused { .. } => Appended::NotSent(refused.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsConfig;

    fn of(code: u64) -> Appended {
        let text = "x".to_owned();
        let link = Link::new(NatsConfig::default(), "log");
        outcome(Failure::Refused { code, text }, &link)
    }

    #[test]
    fn only_definite_refusals_say_that_nothing_was_appended() {
        assert_eq!(of(10071), Appended::Conflict);
        assert_eq!(of(10164), Appended::Conflict);
        assert_eq!(of(10158), Appended::Held);
        assert!(matches!(of(10077), Appended::NotSent(_)));
    }
}
