//! The bytes of a snapshot.
//!
//! ```text
//! magic "RTC", version (1 byte), fingerprint of the vocabulary (32), settled offset, tokens and reach, total (8 each,
//! little endian), the open text (to the end but 8), the first 8 bytes of the SHA-256 of everything before
//! ```
//!
//! Read back, every number is checked against the others: a snapshot is refused, never repaired.

use super::settling::Mark;
use crate::checksum;
use crate::error::Error;

const MAGIC: &[u8] = b"RTC";

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u8 = 1;

/// What a counter needs to go on.
pub(super) struct Saved<'t> {
    pub(super) settled: Mark,
    pub(super) open: &'t str,
    pub(super) total: usize,
}

impl<'t> Saved<'t> {
    pub(super) fn write(&self, fingerprint: &[u8; 32]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend_from_slice(fingerprint);
        for number in [self.settled.offset, self.settled.tokens, self.settled.reach, self.total] {
            bytes.extend_from_slice(&(number as u64).to_le_bytes());
        }
        bytes.extend_from_slice(self.open.as_bytes());
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
        let (offset, rest) = number(rest)?;
        let (tokens, rest) = number(rest)?;
        let (reach, rest) = number(rest)?;
        let (total, rest) = number(rest)?;
        let open = std::str::from_utf8(rest).map_err(|_| Error::SnapshotDamaged)?;
        let end = offset.checked_add(open.len()).ok_or(Error::SnapshotDamaged)?;
        if tokens <= offset && (offset..=end).contains(&reach) {
            Ok(Self { settled: Mark::at(offset, tokens, reach), open, total })
        } else {
            Err(Error::SnapshotDamaged)
        }
    }
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or(Error::SnapshotDamaged)?;
    let number = usize::try_from(u64::from_le_bytes(*number)).map_err(|_| Error::SnapshotDamaged)?;
    Ok((number, rest))
}
