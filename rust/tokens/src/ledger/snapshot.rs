//! The bytes of a ledger's snapshot.
//!
//! ```text
//! magic "RTL", version (1 byte), number of items (8), for each item exact, reconstructed, estimated (4 each, little
//! endian), the first 8 bytes of the SHA-256 of everything before
//! ```

use super::size::Size;
use crate::checksum;
use crate::error::Error;

const MAGIC: &[u8] = b"RTL";

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u8 = 1;

pub(super) fn write(len: usize, items: impl Iterator<Item = Size>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes.extend_from_slice(&(len as u64).to_le_bytes());
    for size in items {
        for number in [size.exact, size.reconstructed, size.estimated] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    checksum::seal(bytes)
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Size>, Error> {
    let content = checksum::open(bytes).ok_or(Error::LedgerDamaged)?;
    let rest = content.strip_prefix(MAGIC).ok_or(Error::LedgerDamaged)?;
    let (version, rest) = rest.split_first().ok_or(Error::LedgerDamaged)?;
    if *version != VERSION {
        return Err(Error::LedgerVersion { version: *version });
    }
    let (len, rest) = rest.split_first_chunk::<8>().ok_or(Error::LedgerDamaged)?;
    let (numbers, over) = rest.as_chunks::<4>();
    let (items, left) = numbers.as_chunks::<3>();
    if items.len() as u64 != u64::from_le_bytes(*len) || !left.is_empty() || !over.is_empty() {
        return Err(Error::LedgerDamaged);
    }
    let size = |[exact, reconstructed, estimated]: &[[u8; 4]; 3]| Size {
        exact: u32::from_le_bytes(*exact),
        reconstructed: u32::from_le_bytes(*reconstructed),
        estimated: u32::from_le_bytes(*estimated),
    };
    Ok(items.iter().map(size).collect())
}
