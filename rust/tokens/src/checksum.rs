//! The end of every snapshot: what tells a damaged one.

use sha2::{Digest as _, Sha256};

const CHECKSUM_BYTES: usize = 8;

/// Append the first 8 bytes of the SHA-256 of `bytes`.
pub(crate) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// Return what was sealed, or None if it is not what it was.
pub(crate) fn open(bytes: &[u8]) -> Option<&[u8]> {
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    (checksum(content) == *sum).then_some(content)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk().copied().unwrap_or_default()
}
