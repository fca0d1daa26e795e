//! The bytes of a snapshot.
//!
//! ```text
//! magic "RTC", version (1 byte), fingerprint of the vocabulary (32),
//! settled offset, tokens and reach, total (8 each, little endian),
//! 0, or 1 + the kind of a long run that is kept in part (1), and of that: bytes and tokens left out, length, split + 1
//!   or 0, start of the last character, tokens before the split + 1 or 0 (8 each),
//! the open text, and the bytes of a character that is not complete (to the end but 8),
//! the first 8 bytes of the SHA-256 of everything before
//! ```
//!
//! Read back, every number is checked against the others: a snapshot is refused, never repaired.

use super::kept::Kept;
use super::settling::Mark;
use crate::checksum;
use crate::error::Error;
use crate::split::{Kind, State};

const MAGIC: &[u8] = b"RTC";

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u8 = 2;

/// The kinds of runs, by their number.
const KINDS: [Kind; 6] = [Kind::Capitals, Kind::Small, Kind::Letters, Kind::Space, Kind::Symbols, Kind::SymbolsTail];

/// What a counter needs to go on.
pub(super) struct Saved<'t> {
    pub(super) settled: Mark,
    pub(super) kept: Option<Kept>,
    pub(super) open: &'t str,
    /// The first bytes of a character whose others did not come yet.
    pub(super) unfinished: &'t [u8],
    pub(super) total: usize,
}

impl<'t> Saved<'t> {
    pub(super) fn write(&self, fingerprint: &[u8; 32]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend_from_slice(fingerprint);
        let mut write = |numbers: &[usize]| {
            bytes.extend(numbers.iter().flat_map(|number| (*number as u64).to_le_bytes()));
        };
        write(&[self.settled.offset, self.settled.tokens, self.settled.reach, self.total]);
        match self.kept {
            None => bytes.push(0),
            Some(Kept { state, left_out, left_out_tokens, first_tokens }) => {
                let kind = KINDS.iter().position(|kind| *kind == state.kind).unwrap_or(0);
                bytes.push(u8::try_from(kind).unwrap_or(0).saturating_add(1));
                let optional = |number: Option<usize>| number.map_or(0, |number| number.saturating_add(1));
                let numbers = [state.scanned, optional(state.split), state.last_start, optional(first_tokens)];
                for number in [left_out, left_out_tokens].into_iter().chain(numbers) {
                    bytes.extend_from_slice(&(number as u64).to_le_bytes());
                }
            }
        }
        bytes.extend_from_slice(self.open.as_bytes());
        bytes.extend_from_slice(self.unfinished);
        checksum::seal(bytes)
    }

    pub(super) fn read(bytes: &'t [u8], fingerprint: &[u8; 32]) -> Result<Self, Error> {
        let content = checksum::open(bytes).ok_or(Error::SnapshotDamaged)?;
        let rest = content.strip_prefix(MAGIC).ok_or(Error::SnapshotDamaged)?;
        let (version, rest) = rest.split_first().ok_or(Error::SnapshotDamaged)?;
        if *version != VERSION {
            return Err(Error::SnapshotVersion { version: *version });
        }
        let (vocabulary, rest) = rest.split_first_chunk::<32>().ok_or(Error::SnapshotDamaged)?;
        if vocabulary != fingerprint {
            return Err(Error::SnapshotVocabulary);
        }
        Self::parse(rest).filter(Self::is_consistent).ok_or(Error::SnapshotDamaged)
    }

    fn parse(bytes: &'t [u8]) -> Option<Self> {
        let ([offset, tokens, reach, total], rest) = numbers(bytes)?;
        let settled = Mark::at(offset, tokens, reach);
        let (kind, rest) = rest.split_first()?;
        let (kept, rest) = match kind.checked_sub(1) {
            None => (None, rest),
            Some(kind) => {
                let ([left_out, left_out_tokens, scanned, split, last_start, first_tokens], rest) = numbers(rest)?;
                let kind = *KINDS.get(usize::from(kind))?;
                let state = State { kind, scanned, split: split.checked_sub(1), last_start };
                let first_tokens = first_tokens.checked_sub(1);
                (Some(Kept { state, left_out, left_out_tokens, first_tokens }), rest)
            }
        };
        let (open, unfinished) = split_unfinished(rest).ok()?;
        Some(Self { settled, kept, open, unfinished, total })
    }

    fn is_consistent(&self) -> bool {
        let Mark { offset, tokens, reach, .. } = self.settled;
        let left_out = self.kept.map_or(0, |kept| kept.left_out);
        let kept = self.kept.is_none_or(|Kept { state, left_out, left_out_tokens, first_tokens }| {
            let State { scanned, split, last_start, .. } = state;
            let in_text =
                [scanned, last_start, split.unwrap_or(0)].into_iter().all(|at| self.open.is_char_boundary(at));
            let first = first_tokens.is_none_or(|tokens| tokens <= left_out.saturating_add(scanned));
            let sums = left_out_tokens <= left_out && first;
            in_text && last_start < scanned && split.is_none_or(|split| split <= scanned) && sums
        });
        let end = offset.checked_add(left_out).and_then(|start| start.checked_add(self.open.len()));
        let end = end.filter(|end| isize::try_from(*end).is_ok());
        kept && tokens <= self.total && end.is_some_and(|end| (offset..=end).contains(&reach))
    }
}

/// Return the text of `bytes`, and the bytes after it that could begin a character; or where there is neither.
pub(super) fn split_unfinished(bytes: &[u8]) -> Result<(&str, &[u8]), usize> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok((text, &[])),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(error) => return Err(error.valid_up_to()),
    };
    let (text, unfinished) = bytes.split_at_checked(valid).ok_or(valid)?;
    std::str::from_utf8(text).map(|text| (text, unfinished)).map_err(|_| valid)
}

fn numbers<const N: usize>(bytes: &[u8]) -> Option<([usize; N], &[u8])> {
    let mut numbers = [0; N];
    let mut rest = bytes;
    for number in &mut numbers {
        let (first, after) = rest.split_first_chunk::<8>()?;
        *number = usize::try_from(u64::from_le_bytes(*first)).ok()?;
        rest = after;
    }
    Some((numbers, rest))
}
