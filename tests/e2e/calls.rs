//! The calls as the tests say them: texts in, texts out.

use std::time::Duration;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use unstale_proto::v1::{
    Ack, Entry, GetRequest, GetResponse, InvalidateRequest, InvalidateResponse, Session,
    SetRequest, SetResponse, entry, get_response, set_request, set_response,
};
use unstale_tests::{Sidecar, eventually};

/// A duration as a message.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("a short duration")
}

/// Set with the key's text; the whole answer.
pub(crate) async fn try_set(
    pod: &Sidecar,
    key: &str,
    text: &str,
    ack: Ack,
) -> Result<SetResponse, Status> {
    let request = SetRequest {
        key: key.into(),
        value: Some(set_request::Value::Text(text.into())),
        ack: ack.into(),
        ..SetRequest::default()
    };
    Ok(pod.cache().set(patient(request)).await?.into_inner())
}

/// Set that must store; the position after it.
pub(crate) async fn set(pod: &Sidecar, key: &str, text: &str) -> String {
    let answer = try_set(pod, key, text, Ack::Log)
        .await
        .expect("Set answers");
    stored(&answer);
    answer.position
}

/// Set with tags in a namespace; the position after it.
pub(crate) async fn set_tagged(pod: &Sidecar, namespace: &str, key: &str, tags: &[&str]) -> String {
    let request = SetRequest {
        namespace: namespace.into(),
        key: key.into(),
        value: Some(set_request::Value::Text(key.into())),
        tags: tags.iter().map(|&tag| tag.into()).collect(),
        ..SetRequest::default()
    };
    let answer = pod.cache().set(patient(request)).await;
    let answer = answer.expect("Set answers").into_inner();
    stored(&answer);
    answer.position
}

/// The version of a stored value.
pub(crate) fn stored(answer: &SetResponse) -> String {
    match &answer.result {
        Some(set_response::Result::Stored(stored)) => stored.version.clone(),
        other => panic!("not stored: {other:?}"),
    }
}

/// Get after `position` was reached (empty: now).
pub(crate) async fn get_after(
    pod: &Sidecar,
    (namespace, key): (&str, &str),
    position: &str,
) -> Result<GetResponse, Status> {
    let request = GetRequest {
        namespace: namespace.into(),
        key: key.into(),
        min_position: position.into(),
        ..GetRequest::default()
    };
    Ok(pod.cache().get(patient(request)).await?.into_inner())
}

/// The text of an entry.
pub(crate) fn text(entry: &Entry) -> String {
    match &entry.value {
        Some(entry::Value::Text(text)) => text.clone(),
        other => panic!("not a text: {other:?}"),
    }
}

/// The text that was found, if any.
pub(crate) fn found(answer: &GetResponse) -> Option<String> {
    match answer.result.as_ref().expect("a result") {
        get_response::Result::Found(entry) => Some(text(entry)),
        get_response::Result::Missing(_) => None,
        other => panic!("neither found nor missing: {other:?}"),
    }
}

/// What this pod has under the key of the default namespace now.
pub(crate) async fn get(pod: &Sidecar, key: &str) -> Option<String> {
    let answer = get_after(pod, ("", key), "").await;
    found(&answer.expect("Get answers"))
}

/// Waits until every pod has the value in its L1.
pub(crate) async fn warm(pods: &[Sidecar], key: &str, text: &str, position: &str) {
    for pod in pods {
        let ask = || async {
            let answer = get_after(pod, ("", key), position).await;
            let answer = answer.map_err(|e| e.to_string())?;
            let hit = found(&answer).as_deref() == Some(text);
            hit.then_some(()).ok_or(format!("{answer:?}"))
        };
        eventually("the value on every pod", Duration::from_secs(10), ask).await;
        assert_eq!(get(pod, key).await.as_deref(), Some(text), "from L1");
    }
}

/// Invalidates one key.
pub(crate) async fn invalidate(
    pod: &Sidecar,
    key: &str,
    ack: Ack,
) -> Result<InvalidateResponse, Status> {
    let request = InvalidateRequest {
        keys: vec![key.into()],
        ack: ack.into(),
        ..InvalidateRequest::default()
    };
    Ok(pod.cache().invalidate(patient(request)).await?.into_inner())
}

/// The names of sessions, sorted.
pub(crate) fn pods(sessions: &[Session]) -> Vec<&str> {
    let mut names: Vec<_> = sessions.iter().map(|s| s.pod.as_str()).collect();
    names.sort_unstable();
    names
}

/// The code and the ErrorInfo's reason; every error has one of our domain.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info();
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "unstale.dev");
    (status.code(), info.reason.clone())
}

/// A request with a deadline that no healthy call needs.
pub(crate) fn patient<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(15));
    request
}
