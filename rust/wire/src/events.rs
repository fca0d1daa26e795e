//! The bytes of an event, and the hash that the next one carries.

use sha2::{Digest as _, Sha256};

use crate::drafts::Draft;
use crate::publish::put_number;

/// A SHA-256 as lower-case hex.
pub type Hash = [u8; 64];

/// Where an event stands, and what it says of itself beside the draft.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The schema's version.
    pub version: u32,
    /// The tenant's name, which JSON writes as it is.
    pub tenant: &'a str,
    /// The session's name, which JSON writes as it is.
    pub session: &'a str,
    /// The sequence in the session.
    pub seq: u64,
    /// The hash of the event before.
    pub prev: &'a Hash,
    /// The fact's type.
    pub kind: &'a str,
}

/// Write the event that `draft` becomes at `place` behind what is in `body`. These are its bytes in the log.
pub fn event(draft: &Draft<'_>, place: &Place<'_>, body: &mut Vec<u8>) {
    body.extend_from_slice(b"{\"v\":");
    put_number(body, place.version.into());
    let mut put = |part: &[u8]| body.extend_from_slice(part);
    put(b",\"id\":");
    put(draft.id);
    put(b",\"tenant\":\"");
    put(place.tenant.as_bytes());
    put(b"\",\"session\":\"");
    put(place.session.as_bytes());
    put(b"\",\"seq\":");
    put_number(body, place.seq);
    let mut put = |part: &[u8]| body.extend_from_slice(part);
    put(b",\"at\":");
    put(draft.at);
    put(b",\"type\":\"");
    put(place.kind.as_bytes());
    put(b"\",\"actor\":");
    put(draft.actor);
    put(b",\"cause\":");
    put(draft.cause);
    put(b",\"prev\":\"");
    put(place.prev);
    put(b"\",\"data\":");
    put(draft.data);
    put(b"}");
}

/// Return the SHA-256 of `body`.
pub(crate) fn hash(body: &[u8]) -> Hash {
    let mut hex = [0_u8; 64];
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(Sha256::digest(body)) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    hex
}

fn digit(half: u8) -> u8 {
    if half < 10 { b'0'.wrapping_add(half) } else { b'a'.wrapping_add(half.wrapping_sub(10)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_the_codec_writes_it() {
        let draft = Draft::read(br#"{"id":"a","at":"t","actor":"x","data":{"b":1},"cause":null}"#).unwrap();
        let prev = [b'0'; 64];
        let place = Place { version: 1, tenant: "t", session: "s", seq: 7, prev: &prev, kind: "K" };
        let mut body = Vec::new();
        event(&draft, &place, &mut body);
        let zeros = "0".repeat(64);
        let written = format!(
            r#"{{"v":1,"id":"a","tenant":"t","session":"s","seq":7,"at":"t","type":"K","actor":"x","cause":null,"prev":"{zeros}","data":{{"b":1}}}}"#
        );
        assert_eq!(String::from_utf8(body).unwrap(), written);
    }

    #[test]
    fn a_hash_is_lower_case_hex() {
        let empty = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(&hash(b""), empty);
    }
}
