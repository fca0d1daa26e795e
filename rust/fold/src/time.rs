//! Times as the codec writes them: UTC, with no part of a second or with microseconds.

/// A time as `YYYY-MM-DDTHH:MM:SS.ffffff`, whose order is that of its bytes.
pub(crate) type Time = [u8; 26];

/// Return the time that `json` is, quotes included; None if it is not written as the codec writes one, or is none.
pub(crate) fn time(json: &[u8]) -> Option<Time> {
    let told = json.strip_prefix(b"\"")?.strip_suffix(b"Z\"")?;
    let mut time = *b"0000-00-00T00:00:00.000000";
    if told.len() != time.len() && told.len() != b"0000-00-00T00:00:00".len() {
        return None;
    }
    for (byte, shape) in told.iter().zip(time.iter_mut()) {
        if *shape == b'0' && byte.is_ascii_digit() {
            *shape = *byte;
        } else if byte != shape {
            return None;
        }
    }
    is_one(&time).then_some(time)
}

fn is_one(time: &Time) -> bool {
    let part = |from: usize, to: usize| {
        let digits = time.get(from..to).unwrap_or_default();
        digits.iter().fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit & 15)))
    };
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    };
    let is_day = year > 0 && (1..=12).contains(&month) && (1..=days).contains(&day);
    is_day && part(11, 13) < 24 && part(14, 16) < 60 && part(17, 19) < 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_the_codec_writes_it() {
        assert_eq!(time(b"\"2026-11-21T16:05:59Z\""), Some(*b"2026-11-21T16:05:59.000000"));
        assert_eq!(time(b"\"2024-02-29T00:00:00.000001Z\""), Some(*b"2024-02-29T00:00:00.000001"));
        assert!(time(b"\"2026-11-21T16:05:59Z\"") < time(b"\"2026-11-21T16:05:59.000001Z\""));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for none in [
            "2026-11-21T16:05:59Z",
            "\"2026-11-21T16:05:59\"",
            "\"2026-11-21T16:05:59+00:00\"",
            "\"2026-11-21 16:05:59Z\"",
            "\"2026-11-21T16:05:59.1Z\"",
            "\"2026-02-29T16:05:59Z\"",
            "\"2026-04-31T16:05:59Z\"",
            "\"2026-13-01T16:05:59Z\"",
            "\"2026-00-01T16:05:59Z\"",
            "\"2026-01-00T16:05:59Z\"",
            "\"0000-01-01T16:05:59Z\"",
            "\"2026-11-21T24:05:59Z\"",
            "\"2026-11-21T23:60:59Z\"",
            "\"2026-11-21T23:05:60Z\"",
            "\"2026-11-21T23:05:6xZ\"",
        ] {
            assert_eq!(time(none.as_bytes()), None, "{none}");
        }
    }
}
