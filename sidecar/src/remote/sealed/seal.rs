//! How a record is compressed and encrypted, and back.
//!
//! A record of the engine begins with its own mark. Compressed: `UNSZ` and one
//! zstd frame. Encrypted: `UNSE`, the key's id, a random nonce and the
//! AES-256-GCM-SIV ciphertext (RFC 8452) of either; associated data are the
//! mark, the fleet, the key's hash and the key id, so that a record moved to
//! another key, another fleet or another format does not open. What does not
//! open is [`None`]: never a panic, never more than [`limits::RECORD_BYTES`].

use super::keys::{KeyId, Keys};
use aes_gcm_siv::Nonce;
use aes_gcm_siv::aead::{Aead, Payload};
use bytes::Bytes;
use unstale_engine::key::NameHash;
use unstale_engine::limits;

const COMPRESSED: &[u8; 4] = b"UNSZ";
const ENCRYPTED: &[u8; 4] = b"UNSE";
const NONCE_BYTES: usize = 12;
/// Mark, key id, nonce.
const FIXED: usize = 4 + 4 + NONCE_BYTES;
/// Level 3 is zstd's own default.
const LEVEL: i32 = 3;

/// Compresses if that makes it smaller.
pub(super) fn compress(record: &Bytes) -> Bytes {
    let Ok(frame) = zstd::bulk::compress(record, LEVEL) else {
        return record.clone();
    };
    if frame.len() + COMPRESSED.len() >= record.len() {
        return record.clone();
    }
    [COMPRESSED.as_slice(), &frame].concat().into()
}

/// Undoes [`compress`]; what was not compressed is returned as it is.
pub(super) fn decompress(record: Bytes) -> Option<Bytes> {
    let Some(frame) = record.strip_prefix(COMPRESSED) else {
        return Some(record);
    };
    let plain = zstd::bulk::decompress(frame, limits::RECORD_BYTES).ok()?;
    Some(plain.into())
}

/// Encrypts for this key of the fleet.
pub(super) fn encrypt(keys: &Keys, place: (&str, NameHash), nonce: u128, record: &[u8]) -> Bytes {
    let (id, cipher) = keys.first();
    let mut bytes = [0; NONCE_BYTES];
    bytes.copy_from_slice(&nonce.to_be_bytes()[..NONCE_BYTES]);
    let payload = Payload {
        msg: record,
        aad: &associated(place, id),
    };
    let sealed = cipher.encrypt(&Nonce::from(bytes), payload);
    // Only a message of more than 64 GiB fails.
    let sealed = sealed.expect("records are small");
    [ENCRYPTED.as_slice(), &id.0.to_be_bytes(), &bytes, &sealed]
        .concat()
        .into()
}

/// Undoes [`encrypt`]. What is not encrypted does not open: whoever can write
/// to the tier must not be able to leave that out.
pub(super) fn decrypt(keys: &Keys, place: (&str, NameHash), record: &[u8]) -> Option<Bytes> {
    let (fixed, sealed) = record.split_at_checked(FIXED)?;
    let rest = fixed.strip_prefix(ENCRYPTED)?;
    let (id, nonce) = rest.split_at_checked(4)?;
    let id = KeyId(u32::from_be_bytes(id.try_into().ok()?));
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    let payload = Payload {
        msg: sealed,
        aad: &associated(place, id),
    };
    let plain = keys.of(id)?.decrypt(&Nonce::from(nonce), payload).ok()?;
    Some(plain.into())
}

fn associated((fleet, key): (&str, NameHash), id: KeyId) -> Vec<u8> {
    let (key, id) = (key.0.to_be_bytes(), id.0.to_be_bytes());
    [ENCRYPTED.as_slice(), &id, &key, fleet.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const PLACE: (&str, NameHash) = ("fleet", NameHash(7));

    fn keys(of: &[(u32, u8)]) -> Keys {
        let line = |(id, byte): &(u32, u8)| format!("{id} {}\n", STANDARD.encode([*byte; 32]));
        Keys::parse(&of.iter().map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn an_older_key_opens_while_it_is_known() {
        let old = encrypt(&keys(&[(1, 1)]), PLACE, 5, b"record");
        let both = keys(&[(2, 2), (1, 1)]);
        assert_eq!(decrypt(&both, PLACE, &old).as_deref(), Some(&b"record"[..]));
        assert_eq!(decrypt(&keys(&[(2, 2)]), PLACE, &old), None);
        let another = keys(&[(1, 9)]);
        assert_eq!(decrypt(&another, PLACE, &old), None);
    }

    #[test]
    fn a_record_opens_in_its_own_place_only() {
        let keys = keys(&[(1, 1)]);
        let record = encrypt(&keys, PLACE, 5, b"record");
        assert_eq!(decrypt(&keys, ("other", NameHash(7)), &record), None);
        assert_eq!(decrypt(&keys, ("fleet", NameHash(8)), &record), None);
        assert_eq!(decrypt(&keys, PLACE, b"UNS2 not encrypted at all"), None);
    }

    #[test]
    fn a_frame_that_would_grow_beyond_a_record_does_not_open() {
        let bomb = vec![0; 64 << 20];
        let frame = zstd::bulk::compress(&bomb, LEVEL).unwrap();
        let record = [COMPRESSED.as_slice(), &frame].concat();
        assert_eq!(decompress(record.into()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_was_packed_comes_back(record: Vec<u8>, nonce: u128) {
            let keys = keys(&[(1, 1)]);
            let record = Bytes::from([b"UNS2".as_slice(), &record].concat());
            let packed = encrypt(&keys, PLACE, nonce, &compress(&record));
            let opened = decrypt(&keys, PLACE, &packed).and_then(decompress);
            prop_assert_eq!(opened, Some(record));
        }

        #[test]
        fn a_changed_byte_does_not_open(record: Vec<u8>, at: usize, by in 1..=255_u8) {
            let keys = keys(&[(1, 1)]);
            let mut packed = encrypt(&keys, PLACE, 1, &record).to_vec();
            let at = at % packed.len();
            packed[at] ^= by;
            prop_assert_eq!(decrypt(&keys, PLACE, &packed), None);
        }

        #[test]
        fn garbage_neither_opens_nor_panics(garbage: Vec<u8>) {
            let keys = keys(&[(1, 1)]);
            prop_assert_eq!(decrypt(&keys, PLACE, &garbage), None);
            let marked = [COMPRESSED.as_slice(), &garbage].concat();
            prop_assert!(decompress(marked.into()).is_none_or(|plain| plain.len() <= limits::RECORD_BYTES));
        }
    }
}
