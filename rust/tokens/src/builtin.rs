//! The vocabularies that come with the crate.

use std::fmt::Write as _;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::ranked::Ranked;
use crate::split::Pattern;
use crate::vocabulary::Vocabulary;

static O200K: Table = Table::new(
    include_bytes!("../vocab/o200k.vocab"),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
);
static CL100K: Table = Table::new(
    include_bytes!("../vocab/cl100k.vocab"),
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
);

/// An embedded file, the SHA-256 that tiktoken publishes for its `.tiktoken` form, and its table once it was needed.
struct Table {
    data: &'static [u8],
    published_sha256: &'static str,
    vocabulary: OnceLock<Result<Vocabulary, Error>>,
}

impl Table {
    const fn new(data: &'static [u8], published_sha256: &'static str) -> Self {
        Self { data, published_sha256, vocabulary: OnceLock::new() }
    }

    fn vocabulary(&'static self) -> Result<&'static Vocabulary, Error> {
        self.vocabulary.get_or_init(|| Vocabulary::read(self.data)).as_ref().map_err(Error::clone)
    }
}

/// A vocabulary that comes with the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `o200k_base`
    O200kBase,
    /// `o200k_harmony`: the ranks of `o200k_base` with other special tokens
    O200kHarmony,
    /// `cl100k_base`
    Cl100kBase,
}

/// What `retold doctor` shows of a built-in vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VocabularyCheck {
    /// The name of the encoding.
    pub name: &'static str,
    /// How many tokens have a rank, special tokens not counted.
    pub tokens: usize,
    /// The SHA-256 that tiktoken publishes for the `.tiktoken` file, in hexadecimal.
    pub sha256_expected: &'static str,
    /// The SHA-256 of the `.tiktoken` file that the embedded data gives, in hexadecimal.
    pub sha256_actual: String,
}

impl Builtin {
    /// All of them, in the order to show them in.
    pub const ALL: [Self; 3] = [Self::O200kBase, Self::O200kHarmony, Self::Cl100kBase];

    /// Return the vocabulary of this name, if it is built in.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    /// Return the name, as tiktoken spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::O200kHarmony => "o200k_harmony",
            Self::Cl100kBase => "cl100k_base",
        }
    }

    /// Regenerate the published file from the embedded data and hash it.
    ///
    /// # Errors
    /// [`Error::VocabularyDamaged`] if the embedded data cannot even be read.
    pub fn check(self) -> Result<VocabularyCheck, Error> {
        let vocabulary = self.table().vocabulary()?;
        let mut hasher = Sha256::new();
        let (mut line, mut token) = (String::new(), Vec::new());
        for rank in 0..u32::try_from(vocabulary.size()).map_err(|_| Error::VocabularyDamaged)? {
            line.clear();
            token.clear();
            vocabulary.push_bytes(rank, &mut token);
            STANDARD.encode_string(&token, &mut line);
            writeln!(line, " {rank}").map_err(|_| Error::VocabularyDamaged)?;
            hasher.update(line.as_bytes());
        }
        Ok(VocabularyCheck {
            name: self.name(),
            tokens: vocabulary.size(),
            sha256_expected: self.table().published_sha256,
            sha256_actual: hex(&hasher.finalize()),
        })
    }

    pub(crate) fn ranked(self) -> Result<Ranked, Error> {
        let pattern = match self {
            Self::O200kBase | Self::O200kHarmony => Pattern::O200k,
            Self::Cl100kBase => Pattern::Cl100k,
        };
        Ok(Ranked { pattern, vocabulary: self.table().vocabulary()? })
    }

    /// Return what identifies the vocabulary: it changes with the name or the published ranks, and with nothing else.
    pub(crate) fn fingerprint(self) -> [u8; 32] {
        let identity = format!("retold vocabulary 1\n{}\n{}\n", self.name(), self.table().published_sha256);
        Sha256::digest(identity.as_bytes()).into()
    }

    /// Return the text of a special token. Counting and encoding never produce one; decoding knows them.
    pub(crate) fn special_token(self, id: u32) -> Option<String> {
        let text = match (self, id) {
            (Self::O200kHarmony, 199_998) => "<|startoftext|>",
            (Self::O200kBase | Self::O200kHarmony, 199_999) | (Self::Cl100kBase, 100_257) => "<|endoftext|>",
            (Self::O200kBase | Self::O200kHarmony, 200_018) | (Self::Cl100kBase, 100_276) => "<|endofprompt|>",
            (Self::Cl100kBase, 100_258) => "<|fim_prefix|>",
            (Self::Cl100kBase, 100_259) => "<|fim_middle|>",
            (Self::Cl100kBase, 100_260) => "<|fim_suffix|>",
            (Self::O200kHarmony, 200_002) => "<|return|>",
            (Self::O200kHarmony, 200_003) => "<|constrain|>",
            (Self::O200kHarmony, 200_005) => "<|channel|>",
            (Self::O200kHarmony, 200_006) => "<|start|>",
            (Self::O200kHarmony, 200_007) => "<|end|>",
            (Self::O200kHarmony, 200_008) => "<|message|>",
            (Self::O200kHarmony, 200_012) => "<|call|>",
            // tiktoken's table has a <|reserved_200018|> too, but decodes that id to <|endofprompt|>, as above.
            (Self::O200kHarmony, 200_000..=201_087) => return Some(format!("<|reserved_{id}|>")),
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn table(self) -> &'static Table {
        match self {
            Self::O200kBase | Self::O200kHarmony => &O200K,
            Self::Cl100kBase => &CL100K,
        }
    }
}

/// Return bytes in hexadecimal, two lower-case digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble))).collect()
}
