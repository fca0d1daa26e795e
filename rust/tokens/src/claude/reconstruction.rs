//! The reconstructed vocabularies that come with the crate.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::Claude;
use super::pieces::Pieces;
use crate::builtin::{VocabularyCheck, hex};
use crate::error::Error;

static CLAUDE3: Table = Table::new(
    include_bytes!("../../vocab/claude3.pieces"),
    "32fc8071d5318276f6341960a5d8ec074b99b466d7200c80e6635d417b9467a8",
);
static CLAUDE4: Table = Table::new(
    include_bytes!("../../vocab/claude4.pieces"),
    "e83c48b036297273faf2e60d13e1f6297146cab1172bf58711836fffe56ed8a3",
);

/// An embedded file, the SHA-256 that `vocab/rebuild_claude.py` gave it, and its pieces once they were needed.
struct Table {
    data: &'static [u8],
    sha256: &'static str,
    pieces: OnceLock<Result<Pieces, Error>>,
}

impl Table {
    const fn new(data: &'static [u8], sha256: &'static str) -> Self {
        Self { data, sha256, pieces: OnceLock::new() }
    }

    fn pieces(&'static self) -> Result<&'static Pieces, Error> {
        self.pieces.get_or_init(|| Pieces::read(self.data)).as_ref().map_err(Error::clone)
    }
}

/// A generation of Claude's tokenizers, of which counts are known, but no published vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconstruction {
    /// `claude-3`: from Claude 3 up to Opus 4.6
    Claude3,
    /// `claude-4.7`: Opus 4.7
    Claude4_7,
    /// `claude-4.8`: from Opus 4.8 and Sonnet 5 on; the pieces of 4.7 in another frame
    Claude4_8,
}

impl Reconstruction {
    /// All of them, in the order to show them in.
    pub const ALL: [Self; 3] = [Self::Claude3, Self::Claude4_7, Self::Claude4_8];

    /// Return the reconstruction of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Return the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude3 => "claude-3",
            Self::Claude4_7 => "claude-4.7",
            Self::Claude4_8 => "claude-4.8",
        }
    }

    /// Hash the embedded pieces, and read them.
    ///
    /// # Errors
    /// [`Error::VocabularyDamaged`] if they cannot be read.
    pub fn check(self) -> Result<VocabularyCheck, Error> {
        let table = self.table();
        Ok(VocabularyCheck {
            name: self.name(),
            tokens: table.pieces()?.size(),
            sha256_expected: table.sha256,
            sha256_actual: hex(&Sha256::digest(table.data)),
        })
    }

    pub(crate) fn open(self) -> Result<Claude, Error> {
        Ok(Claude { generation: self, pieces: self.table().pieces()? })
    }

    /// Return what identifies the vocabulary: it changes with the name or the pieces, and with nothing else.
    pub(crate) fn fingerprint(self) -> [u8; 32] {
        let identity = format!("retold reconstruction 1\n{}\n{}\n", self.name(), self.table().sha256);
        Sha256::digest(identity.as_bytes()).into()
    }

    fn table(self) -> &'static Table {
        if self == Self::Claude3 { &CLAUDE3 } else { &CLAUDE4 }
    }
}
