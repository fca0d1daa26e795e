//! The one error type of the crate. Every variant is the caller's to mend but the last two.

use std::fmt;

/// Why a call was refused. Messages say what was expected and what came; they never hold text that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No token of the vocabulary has this id.
    UnknownToken {
        /// The id that was asked for.
        id: u32,
    },
    /// Only counts are known of this vocabulary, not which tokens they are of.
    NoIds {
        /// The name of the encoding.
        name: String,
    },
    /// An offset lies behind the end of the text.
    OutOfRange {
        /// The offset, in bytes.
        offset: usize,
        /// The length of the text, in bytes.
        len: usize,
    },
    /// A span ends before it starts.
    Backwards {
        /// Where the span starts, in bytes; of a ledger, in items.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// A place lies behind the end of a ledger.
    NoPlace {
        /// The place, in items.
        place: usize,
        /// How many items the ledger has.
        len: usize,
    },
    /// An offset lies inside a character.
    SplitCharacter {
        /// The offset, in bytes.
        offset: usize,
        /// The offset at which that character starts.
        floor: usize,
    },
    /// Bytes are no UTF-8.
    NotUtf8 {
        /// The first byte of those given that is wrong.
        at: usize,
        /// How many bytes came before of the character that goes on wrongly.
        held: usize,
    },
    /// Text was appended after bytes that ended inside a character.
    Unfinished {
        /// How many bytes of the character came.
        bytes: usize,
    },
    /// A restored counter was asked about text from before its snapshot, which it does not hold.
    NotHeld {
        /// The offset, in bytes.
        offset: usize,
        /// The first offset that can be asked about.
        held_from: usize,
    },
    /// A snapshot is not what was written.
    SnapshotDamaged,
    /// A snapshot was written by another release.
    SnapshotVersion {
        /// The version that came.
        version: u8,
    },
    /// A snapshot was written by a counter of another vocabulary.
    SnapshotVocabulary,
    /// A ledger has no such item.
    NoItem {
        /// The number of the item, from 0.
        place: usize,
        /// How many items the ledger has.
        len: usize,
    },
    /// A ledger's snapshot is not what was written.
    LedgerDamaged,
    /// A ledger's snapshot was written by another release.
    LedgerVersion {
        /// The version that came.
        version: u8,
    },
    /// A `tokenizer.json` was not understood, or could not count a text.
    Tokenizer {
        /// What the `tokenizers` library says about it.
        reason: String,
    },
    /// An embedded vocabulary is damaged: the build is broken.
    VocabularyDamaged,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownToken { id } => write!(f, "expected a token id of this vocabulary, got {id}"),
            Self::NoIds { name } => write!(
                f,
                "expected an encoding with a published vocabulary, got {name}: a reconstruction gives counts, not ids"
            ),
            Self::OutOfRange { offset, len } => {
                write!(f, "expected an offset of at most {len} bytes, the length of the text, got {offset}")
            }
            Self::Backwards { start, end } => write!(f, "expected a span that ends at {start} or later, got {end}"),
            Self::NoPlace { place, len } => {
                write!(f, "expected a place of at most {len}, the number of items, got {place}")
            }
            Self::NoItem { place, len } => write!(f, "expected an item of a ledger of {len}, got {place}"),
            Self::SplitCharacter { offset, floor } => {
                write!(f, "expected an offset between two characters, got {offset}; the character starts at {floor}")
            }
            Self::NotUtf8 { at, held: 0 } => write!(f, "expected UTF-8, got an invalid sequence at byte {at}"),
            Self::NotUtf8 { held, .. } => {
                write!(
                    f,
                    "expected the other bytes of a character of which {held} were appended before, got something else"
                )
            }
            Self::Unfinished { bytes } => {
                write!(f, "expected the other bytes of a character of which {bytes} were appended before, got text")
            }
            Self::NotHeld { offset, held_from } => write!(
                f,
                "expected an offset of at least {held_from}, got {offset}: this counter was restored from a snapshot, \
                 which does not hold the text before"
            ),
            Self::SnapshotDamaged => write!(f, "expected a counter's snapshot, got damaged or foreign bytes"),
            Self::SnapshotVersion { version } => {
                write!(f, "expected a snapshot of version {}, got version {version}", crate::counter::SNAPSHOT_VERSION)
            }
            Self::SnapshotVocabulary => write!(f, "expected a snapshot of this vocabulary, got one of another"),
            Self::LedgerDamaged => write!(f, "expected a ledger's snapshot, got damaged or foreign bytes"),
            Self::LedgerVersion { version } => {
                write!(f, "expected a ledger's snapshot of version {}, got version {version}", crate::ledger::VERSION)
            }
            Self::Tokenizer { reason } => write!(f, "expected a usable tokenizer.json: {reason}"),
            Self::VocabularyDamaged => {
                write!(f, "expected the embedded vocabulary, found it damaged: reinstall Retold")
            }
        }
    }
}

impl std::error::Error for Error {}
