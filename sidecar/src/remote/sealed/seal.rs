//! How a record is compressed and encrypted, and back.
//!
//! A record of the engine begins with its own mark. Compressed: `UNZ1` and one
//! zstd frame. Encrypted: `UNE1`, the id of the key, the hash of the cache key,
//! a random nonce and the AES-256-GCM-SIV ciphertext (RFC 8452) of either. The
//! mark is the format and its version. Associated data are mark, id, hash and
//! the fleet's name, so that a record moved to another key, another fleet or
//! another version does not open. What does not open says why: never a panic,
//! never more than [`limits::RECORD_BYTES`].

use crate::keyring::{KeyId, Keyring};
use crate::telemetry::remote::Unopened;
use aes_gcm_siv::Nonce;
use aes_gcm_siv::aead::{Aead, Payload};
use bytes::Bytes;
use unstale_engine::key::NameHash;
use unstale_engine::limits;

const COMPRESSED: &[u8; 4] = b"UNZ1";
const ENCRYPTED: &[u8; 4] = b"UNE1";
const NONCE_BYTES: usize = 12;
/// Level 3 is zstd's own default.
const LEVEL: i32 = 3;

/// The fleet and the key that a record belongs to.
pub(super) type Place<'a> = (&'a str, NameHash);

/// Compresses if that makes it smaller, and would be read again.
pub(super) fn compress(record: Bytes) -> Bytes {
    if record.len() > limits::RECORD_BYTES {
        return record;
    }
    match zstd::bulk::compress(&record, LEVEL) {
        Ok(frame) if frame.len() + COMPRESSED.len() < record.len() => {
            [COMPRESSED.as_slice(), &frame].concat().into()
        }
        Ok(_) | Err(_) => record,
    }
}

/// Undoes [`compress`]; what was not compressed is returned as it is.
pub(super) fn decompress(record: Bytes) -> Result<Bytes, Unopened> {
    let Some(frame) = record.strip_prefix(COMPRESSED) else {
        return Ok(record);
    };
    let plain = zstd::bulk::decompress(frame, limits::RECORD_BYTES);
    let plain = plain.map_err(|_| Unopened::BadCompression)?;
    Ok(plain.into())
}

/// Encrypts for this place.
pub(super) fn encrypt(keys: &Keyring, place: Place<'_>, nonce: u128, record: &[u8]) -> Bytes {
    let (id, cipher) = keys.first();
    let mut bytes = [0; NONCE_BYTES];
    bytes.copy_from_slice(&nonce.to_be_bytes()[..NONCE_BYTES]);
    let (fleet, key) = place;
    let head = head(id, key);
    let payload = Payload {
        msg: record,
        aad: &[&head, fleet.as_bytes()].concat(),
    };
    let sealed = cipher.encrypt(&Nonce::from(bytes), payload);
    // Only a message of more than 64 GiB fails.
    let sealed = sealed.expect("records are small");
    [head.as_slice(), &bytes, &sealed].concat().into()
}

/// Undoes [`encrypt`]. What is not encrypted does not open: whoever can write
/// to the tier must not be able to leave that out.
pub(super) fn decrypt(
    keys: &Keyring,
    (fleet, key): Place<'_>,
    record: &[u8],
) -> Result<Bytes, Unopened> {
    let rest = record.strip_prefix(ENCRYPTED);
    let rest = rest.ok_or(Unopened::NotEncrypted)?;
    let (id, rest) = part(rest)?;
    let (named, rest) = part(rest)?;
    let (nonce, sealed) = part::<NONCE_BYTES>(rest)?;
    let (id, named) = (
        KeyId(u32::from_be_bytes(id)),
        NameHash(u128::from_be_bytes(named)),
    );
    if named != key {
        return Err(Unopened::OtherKey);
    }
    let payload = Payload {
        msg: sealed,
        aad: &[&head(id, key), fleet.as_bytes()].concat(),
    };
    let cipher = keys.of(id).ok_or(Unopened::UnknownKey)?;
    let plain = cipher.decrypt(&Nonce::from(nonce), payload);
    Ok(plain.map_err(|_| Unopened::Tampered)?.into())
}

/// Whether it says so of itself.
pub(super) fn is_encrypted(record: &[u8]) -> bool {
    record.starts_with(ENCRYPTED)
}

fn head(id: KeyId, key: NameHash) -> Vec<u8> {
    [
        ENCRYPTED.as_slice(),
        &id.0.to_be_bytes(),
        &key.0.to_be_bytes(),
    ]
    .concat()
}

fn part<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Unopened> {
    let split = bytes.split_first_chunk::<N>();
    split
        .map(|(part, rest)| (*part, rest))
        .ok_or(Unopened::Tampered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const PLACE: Place<'_> = ("fleet", NameHash(7));

    fn keys(of: &[(u32, u8)]) -> Keyring {
        let line = |(id, byte): &(u32, u8)| format!("{id} {}\n", STANDARD.encode([*byte; 32]));
        Keyring::parse(&of.iter().map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn an_older_key_opens_while_it_is_known() {
        let old = encrypt(&keys(&[(1, 1)]), PLACE, 5, b"record");
        let both = keys(&[(2, 2), (1, 1)]);
        assert_eq!(
            decrypt(&both, PLACE, &old),
            Ok(Bytes::from_static(b"record"))
        );
        let without = decrypt(&keys(&[(2, 2)]), PLACE, &old);
        assert_eq!(without, Err(Unopened::UnknownKey));
        let another = decrypt(&keys(&[(1, 9)]), PLACE, &old);
        assert_eq!(another, Err(Unopened::Tampered));
    }

    #[test]
    fn a_record_opens_in_its_own_place_only() {
        let keys = keys(&[(1, 1)]);
        let record = encrypt(&keys, PLACE, 5, b"record");
        let (there, elsewhere) = (("other", NameHash(7)), ("fleet", NameHash(8)));
        assert_eq!(decrypt(&keys, there, &record), Err(Unopened::Tampered));
        assert_eq!(decrypt(&keys, elsewhere, &record), Err(Unopened::OtherKey));
        // It says that it is there, and is not what was encrypted for there.
        let mut moved = record.to_vec();
        moved[8..24].copy_from_slice(&8_u128.to_be_bytes());
        assert_eq!(decrypt(&keys, elsewhere, &moved), Err(Unopened::Tampered));
        let plain = decrypt(&keys, PLACE, b"UNS2 not encrypted at all");
        assert_eq!(plain, Err(Unopened::NotEncrypted));
    }

    #[test]
    fn a_frame_that_would_grow_beyond_a_record_does_not_open() {
        let bomb = vec![0; 64 << 20];
        let frame = zstd::bulk::compress(&bomb, LEVEL).unwrap();
        let record = [COMPRESSED.as_slice(), &frame].concat();
        assert_eq!(decompress(record.into()), Err(Unopened::BadCompression));
        let largest = Bytes::from(vec![0; limits::RECORD_BYTES]);
        let packed = compress(largest.clone());
        assert!(packed.len() < 1024);
        assert_eq!(decompress(packed), Ok(largest));
    }

    #[test]
    fn no_byte_of_a_record_can_be_changed_or_cut_off() {
        let keys = keys(&[(1, 1)]);
        let record = encrypt(&keys, PLACE, 5, b"record");
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut changed = record.to_vec();
                changed[at] ^= 1 << bit;
                assert!(decrypt(&keys, PLACE, &changed).is_err(), "{at} {bit}");
            }
            assert!(decrypt(&keys, PLACE, &record[..at]).is_err(), "{at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_was_packed_comes_back(record: Vec<u8>, times in 1..64_usize, nonce: u128) {
            let keys = keys(&[(1, 1)]);
            let record = Bytes::from([b"UNS2".as_slice(), &record.repeat(times)].concat());
            let packed = encrypt(&keys, PLACE, nonce, &compress(record.clone()));
            let opened = decrypt(&keys, PLACE, &packed).and_then(decompress);
            prop_assert_eq!(opened, Ok(record));
        }

        #[test]
        fn a_changed_byte_does_not_open(record: Vec<u8>, at: usize, by in 1..=255_u8) {
            let keys = keys(&[(1, 1)]);
            let mut packed = encrypt(&keys, PLACE, 1, &record).to_vec();
            let at = at % packed.len();
            packed[at] ^= by;
            prop_assert!(decrypt(&keys, PLACE, &packed).is_err());
        }

        #[test]
        fn garbage_neither_opens_nor_panics(garbage: Vec<u8>) {
            let keys = keys(&[(1, 1)]);
            for mark in [b"".as_slice(), ENCRYPTED] {
                let marked = [mark, &garbage].concat();
                prop_assert!(decrypt(&keys, PLACE, &marked).is_err());
            }
            let marked = [COMPRESSED.as_slice(), &garbage].concat();
            let opened = decompress(marked.into()).ok();
            prop_assert!(opened.is_none_or(|plain| plain.len() <= limits::RECORD_BYTES));
        }
    }
}
