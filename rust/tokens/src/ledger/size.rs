//! Sizes in tokens by how they are known.

/// The size of one item: text that was counted, framing that was reconstructed, and what can only be estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Tokens of text, counted.
    pub exact: u32,
    /// Tokens of a provider's framing, after its published layout.
    pub reconstructed: u32,
    /// Tokens of what no local tokenizer can count.
    pub estimated: u32,
}

/// The sum of sizes. It saturates, which takes more than 2^32 items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Tokens of text, counted.
    pub exact: u64,
    /// Tokens of a provider's framing, after its published layout.
    pub reconstructed: u64,
    /// Tokens of what no local tokenizer can count.
    pub estimated: u64,
}

impl Sum {
    /// Return the bound that decisions use: all of it, and a quarter of what is estimated once more.
    #[must_use]
    pub fn upper(self) -> u64 {
        let known = self.exact.saturating_add(self.reconstructed);
        known.saturating_add(self.estimated).saturating_add(self.estimated / 4)
    }

    /// Return the sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            exact: self.exact.saturating_add(other.exact),
            reconstructed: self.reconstructed.saturating_add(other.reconstructed),
            estimated: self.estimated.saturating_add(other.estimated),
        }
    }

    /// Return what is left without `other`, which is a part of it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            exact: self.exact.saturating_sub(other.exact),
            reconstructed: self.reconstructed.saturating_sub(other.reconstructed),
            estimated: self.estimated.saturating_sub(other.estimated),
        }
    }

    pub(super) fn of(sizes: &[Size]) -> Self {
        sizes.iter().fold(Self::default(), |sum, size| sum.plus((*size).into()))
    }
}

impl From<Size> for Sum {
    fn from(size: Size) -> Self {
        Self { exact: size.exact.into(), reconstructed: size.reconstructed.into(), estimated: size.estimated.into() }
    }
}
