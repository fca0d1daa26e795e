"""Exact token counts: the only door to the Rust core.

    enc = encoding("o200k_base")            # or from_file("tokenizer.json")
    enc.count("…")
    counter = enc.counter()
    counter.append("…")                     # the exact total so far

Counts equal those of tiktoken 0.14 (`encode_ordinary`) for the built-in encodings and of Hugging Face tokenizers
(`encode(text, add_special_tokens=False)`) for a `tokenizer.json`. To a built-in encoding a special token in a text is
ordinary text: a user who writes `<|endoftext|>` has written thirteen characters.

Nobody has published the tokenizers of Claude 3 and later. `RECONSTRUCTIONS` count as ctok 1.3.0 does, which was
measured on the provider's own counts: ``claude-3`` (up to Opus 4.6), ``claude-4.7`` (Opus 4.7) and ``claude-4.8`` (from
Opus 4.8 and Sonnet 5 on). Their `kind` says so; ARCHITECTURE.md has the measured error. They count a text as the
content of one message, without its frame, and have no ids.

A text is a `str`, or `bytes` of UTF-8. A lone surrogate or invalid UTF-8 raises InputError with its position (in
characters of the `str`, in bytes of the `bytes`), never with the text.

The classes are the core's own, so that a call costs no more than it must; `_core.pyi` describes them. Nothing is
imported here that a program which only counts would have to wait for.
"""

from os import fsdecode

from retold._core import ENCODINGS, RECONSTRUCTIONS, Counter, Encoding, Vocabulary, check_vocabularies
from retold._core import Ledger as CoreLedger
from retold.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "ENCODINGS",
    "RECONSTRUCTIONS",
    "CoreLedger",
    "Counter",
    "Encoding",
    "Vocabulary",
    "encoding",
    "from_file",
    "vocabularies",
]

_ENCODINGS: dict[str, Encoding] = {}


def encoding(name: str) -> Encoding:
    """Return the built-in encoding *name*, of `ENCODINGS` or `RECONSTRUCTIONS`; the same object every time.

    Raises:
        InputError: there is no such encoding; the message names those that are.
    """
    try:
        known = _ENCODINGS.get(name)
        return known if known is not None else _ENCODINGS.setdefault(name, Encoding.builtin(name))
    except (TypeError, UnicodeError):
        raise InputError(f"expected the name of an encoding, got {type(name).__name__}") from None


def from_file(path: "str | PathLike[str]") -> Encoding:
    """Return the encoding of a Hugging Face `tokenizer.json`. Its name is the path.

    Truncation and padding that the file asks for are switched off: they would hide how long a text is.

    Raises:
        InputError: the file cannot be read, or is not a tokenizer that the `tokenizers` library understands.
    """
    try:
        name = fsdecode(path)
        with open(name, "rb") as file:  # noqa: PTH123 - importing pathlib takes longer than counting
            content = file.read()
    except OSError as error:
        raise InputError(f"expected a readable tokenizer.json at {fsdecode(path)!r}: {error.strerror}") from error
    except (TypeError, ValueError):
        raise InputError(f"expected the path of a tokenizer.json, got a {type(path).__name__} that is none") from None
    return Encoding.from_json(name, content)


def vocabularies() -> tuple[Vocabulary, ...]:
    """Check every built-in vocabulary against the SHA-256 that it was published or built with. About 50 ms.

    Raises:
        InputError: the embedded data cannot be read at all: reinstall Retold.
    """
    return tuple(check_vocabularies())
