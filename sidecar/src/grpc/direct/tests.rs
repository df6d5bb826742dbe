//! What is written without messages is what is written with them.

use super::wire;
use crate::grpc::get::{Many, One};
use bytes::BytesMut;
use proptest::prelude::*;
use prost::Message as _;
use std::time::Duration;
use unstale_engine::key::Tag;
use unstale_engine::position::{Epoch, Position};
use unstale_engine::request::{
    Answer, Degraded, Etag, Found, GetOutcome, LeaseToken, Payload, StaleReason, Tier, Value,
    Version,
};
use unstale_proto::v1::{self, BatchGetResponse, GetResponse};

fn position() -> impl Strategy<Value = Position> + Clone {
    let parts = (any::<u64>(), any::<u64>());
    parts.prop_map(|(epoch, sequence)| Position {
        epoch: Epoch(epoch),
        sequence,
    })
}

fn time() -> impl Strategy<Value = Duration> {
    let nanos = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let seconds = prop_oneof![Just(0), 0..100_000_u64, 0..=i64::MAX.cast_unsigned()];
    (seconds, nanos).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn payload() -> impl Strategy<Value = Payload> {
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(Just(b'a'), 0..20_000),
    ];
    let value = (data, any::<bool>(), "[a-z/]{0,128}");
    let value = value.prop_map(|(data, text, content_type)| {
        Payload::Value(Value {
            data: data.into(),
            text,
            content_type,
        })
    });
    prop_oneof![1 => Just(Payload::NotFound), 4 => value]
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![
        position().prop_map(Version::Write),
        any::<u128>().prop_map(|token| Version::Fill(LeaseToken(token))),
    ]
}

fn stale() -> impl Strategy<Value = Option<StaleReason>> {
    let reasons = [
        None,
        Some(StaleReason::Expired),
        Some(StaleReason::SoftInvalidated),
        Some(StaleReason::SessionNotFresh),
    ];
    prop::sample::select(reasons.to_vec())
}

prop_compose! {
    fn found()(
        payload in payload(),
        (version, etag) in (version(), any::<u128>()),
        source_version in any::<Option<u64>>(),
        tags in prop::collection::vec("[a-zé]{1,60}", 0..5),
        near: bool,
        stale in stale(),
        position in position(),
        (age, ttl_left, stale_left) in (time(), time(), time()),
    ) -> Found {
        Found {
            payload,
            version,
            etag: Etag(etag),
            source_version,
            tags: tags.iter().map(|tag| Tag::new(tag).unwrap()).collect(),
            tier: if near { Tier::L1 } else { Tier::Remote },
            stale,
            position,
            age,
            ttl_left,
            stale_left,
            load_time: None,
        }
    }
}

fn outcome() -> impl Strategy<Value = GetOutcome> {
    prop_oneof![
        1 => Just(GetOutcome::Missing),
        1 => found().prop_map(GetOutcome::NotModified),
        6 => found().prop_map(GetOutcome::Found),
    ]
}

fn degraded() -> impl Strategy<Value = Degraded> {
    let parts = any::<(bool, bool)>();
    parts.prop_map(|(remote, session)| Degraded { remote, session })
}

prop_compose! {
    /// An answer to Get.
    pub(in crate::grpc) fn one()(
        result in outcome(),
        position in position(),
        degraded in degraded(),
        held in "[0-9a-f]{0,32}",
    ) -> One {
        One { answer: Answer { result, position, degraded }, held }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_answer_to_get_is_the_message(one in one()) {
        let mut written = BytesMut::new();
        wire::put_one(&mut written, one.clone());
        let message = one.message();
        prop_assert_eq!(written.len(), message.encoded_len());
        prop_assert_eq!(GetResponse::decode(written).unwrap(), message);
    }

    #[test]
    fn an_answer_to_batch_get_is_the_message(
        results in prop::collection::vec(("[a-zé/]{1,200}", outcome()), 0..8),
        position in "[0-9a-f-]{0,37}",
        reasons in prop::collection::vec(1..4_i32, 0..3),
    ) {
        let degraded = (!reasons.is_empty()).then_some(v1::Degraded { reasons });
        let (keys, outcomes) = results.into_iter().unzip();
        let many = Many { keys, outcomes, position, degraded };
        let mut written = BytesMut::new();
        wire::put_many(&mut written, &many);
        let message = many.message();
        prop_assert_eq!(written.len(), message.encoded_len());
        prop_assert_eq!(BatchGetResponse::decode(written).unwrap(), message);
    }
}
