//! What a publish is answered with.

use memchr::memmem::find;

use crate::frames::{Message, number};

const SEQ: &[u8] = b"\"seq\":";

/// Return where the message was stored; None for every answer but a plain acknowledgement of the first try.
///
/// A stream's name and a batch's id, the only texts in an acknowledgement, hold none of the words looked for.
pub(crate) fn stored_at(message: &Message<'_>) -> Option<u64> {
    let answer = message.payload;
    if message.is_status() || find(answer, b"\"error\"").is_some() || find(answer, b"\"duplicate\"").is_some() {
        return None;
    }
    let start = find(answer, SEQ)?.checked_add(SEQ.len())?;
    let digits = answer.get(start..)?.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    number(digits.get(..end)?).filter(|position| *position > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;

    fn answer(payload: &[u8]) -> Option<u64> {
        stored_at(&Message { subject: b"s", sid: 1, reply: b"", headers: b"", payload })
    }

    #[test]
    fn only_a_plain_acknowledgement_counts() {
        assert_eq!(answer(br#"{"stream":"RETOLD_EVENTS","seq":12}"#), Some(12));
        assert_eq!(answer(br#"{"stream":"RETOLD_EVENTS", "seq": 12,"batch":"b","count":3}"#), Some(12));
        assert_eq!(answer(br#"{"stream":"RETOLD_EVENTS","seq":12,"duplicate":true}"#), None);
        assert_eq!(answer(br#"{"error":{"code":400,"err_code":10071},"stream":"S","seq":0}"#), None);
        assert_eq!(answer(br#"{"stream":"S","seq":0}"#), None);
        assert_eq!(answer(br#"{"stream":"S"}"#), None);
        assert_eq!(answer(b""), None);
        let headers = b"NATS/1.0 503\r\n\r\n".as_slice();
        assert_eq!(stored_at(&Message { subject: b"s", sid: 1, reply: b"", headers, payload: br#"{"seq":1}"# }), None);
    }
}
