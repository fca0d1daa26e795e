//! What the rows of a history say: the hash of their items.

use memchr::memmem::FinderRev;
use sha2::{Digest, Sha256};

use crate::rows;

/// How an entry begins, and what comes behind its item. No text is behind that.
const BEFORE: &[u8] = br#"{"item":"#;
const BEHIND: &[u8] = br#","tokens":"#;

/// Return SHA-256 over the items of the rows of `lines`, one a line; None if a row is no entry. O(bytes).
#[must_use]
pub fn items_hash(lines: &[u8]) -> Option<[u8; 32]> {
    let behind = FinderRev::new(BEHIND);
    let mut hash = Sha256::new();
    for row in rows(lines) {
        let rest = row.strip_prefix(BEFORE)?;
        hash.update(rest.get(..behind.rfind(rest)?)?);
        hash.update(b"\n");
    }
    Some(hash.finalize().into())
}
