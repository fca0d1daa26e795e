"""Sizes in tokens, by how they are known; `retold.ledger` keeps and sums them."""

from msgspec import Struct


class Tokens(Struct, frozen=True, gc=False, omit_defaults=True):
    """Hold a size in tokens by how it is known: counted, after a published layout, or estimated."""

    exact: int = 0
    reconstructed: int = 0
    estimated: int = 0

    @property
    def total(self) -> int:
        """Return the best single figure."""
        return self.exact + self.reconstructed + self.estimated

    @property
    def upper(self) -> int:
        """Return the bound that decisions use: a quarter is added to what is estimated."""
        return self.exact + self.reconstructed + self.estimated + self.estimated // 4  # asked for at every entry

    def __sub__(self, other: "Tokens") -> "Tokens":
        """Return the difference, kind by kind; *other* is a part of this."""
        return Tokens(
            exact=self.exact - other.exact,
            reconstructed=self.reconstructed - other.reconstructed,
            estimated=self.estimated - other.estimated,
        )

    def __add__(self, other: "Tokens") -> "Tokens":
        """Return the sum, kind by kind."""
        return Tokens(
            exact=self.exact + other.exact,
            reconstructed=self.reconstructed + other.reconstructed,
            estimated=self.estimated + other.estimated,
        )
