# ruff: noqa: PYI021 - the compiled module has no docstrings of its own; this is where its text lives
"""The core, in Rust. The doors to it are `retold.tokens`, `retold.identifiers` and, for the wire, `retold.wire`.

A text is a `str`, or `bytes` of UTF-8; it is borrowed, never copied. A lone surrogate or invalid UTF-8 raises
InputError with its position (in characters of the `str`, in bytes of the `bytes`), never with the text. Calls on long
texts let other threads run.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Self, TypeAlias, final

__all__ = [
    "ENCODINGS",
    "RECONSTRUCTIONS",
    "Appends",
    "Counter",
    "Encoding",
    "Guard",
    "Laid",
    "Layout",
    "Ledger",
    "Packing",
    "Run",
    "Runs",
]
__all__ += ["Scan", "Splitter", "Vocabulary", "check_vocabularies", "count_identifiers", "folded", "identifiers_in"]
__all__ += ["is_encoded", "items_hash", "origins", "tell_shortly"]

_Size: TypeAlias = tuple[int, int, int]
"""Tokens exact, reconstructed and estimated; of an item, each from 0 to 2^32 - 1."""

_Row: TypeAlias = tuple[str, str, str, int, str, int, list[int]]
"""Subject, tenant, session, its last sequence, hash and position, and how many drafts each append has."""

_Given: TypeAlias = tuple[
    bytes, list[bytes], list[str], list[tuple[int, bytes]], list[tuple[str, int]], list[tuple[str, int, int]]
]
"""Kinds, bodies, hashes; each kind's events as lines; subjects left out, last given; where subjects end, position."""

_Limits: TypeAlias = tuple[int, int, int, int, int]
"""Bytes of one event, bytes of one append, appends in flight, atomic batches among them, bytes in flight."""

_Stretch: TypeAlias = tuple[int, int, int, int]
"""Source, 0 for the message itself; segment; first row; how many."""

ENCODINGS: Final[tuple[str, ...]]
"""The names of the built-in encodings whose counts are exact."""

RECONSTRUCTIONS: Final[tuple[str, ...]]
"""The names of the built-in encodings whose counts are reconstructed."""

def identifiers_in(text: str | bytes, /) -> list[str]:
    """Return the identifiers of *text*, each once, ascending. O(characters). Of a long text both ends are searched."""

def count_identifiers(texts: Sequence[str | bytes], others: Sequence[str | bytes], /) -> tuple[int, int]:
    """Return how many identifiers *texts* have, each counted once, and how many of them *others* have as well."""

def tell_shortly(sources: Sequence[tuple[str | bytes | Sequence[str], int]], /) -> list[str]:
    """Return the identifiers of each text, or the values given, in at most its size in characters (`identifiers`)."""

def items_hash(lines: bytes, /) -> bytes:
    """Return SHA-256 over the items of *lines*, the rows of a history, one a line. O(bytes); lets other threads run.

    Raises:
        InputError: a row is no entry of a history.
    """

@final
class Layout:
    """Where the rows of a kept state are stored; as it is made, nothing is. It is not changed any more."""

    def __new__(cls) -> Self: ...
    @staticmethod
    def of(lines: bytes, runs: Sequence[_Stretch], holders: Sequence[tuple[int, int, int]], /) -> Layout:
        """Return where the rows of *lines* are, in order, as *runs* say.

        *holders* are the messages that runs name: position, number in the session, bytes of rows that it stores.
        """

    def __len__(self) -> int: ...
    def keep(self, lines: bytes, /) -> Laid:
        """Return what is to be stored of a state with the rows of *lines*. O(bytes); lets other threads run."""

@final
class Laid:
    """What is to be stored of a state."""

    @property
    def sources(self) -> list[tuple[int, int]]:
        """The earlier messages that runs name from 1 on: position, number."""

    @property
    def runs(self) -> list[_Stretch]:
        """Where the rows lie, in order."""

    @property
    def segments(self) -> tuple[bytes, ...]:
        """The rows that are stored in the message itself, with commas between, deflated."""

    @property
    def rows(self) -> tuple[int, ...]:
        """How many rows each segment holds."""

    @property
    def stored_bytes(self) -> int:
        """The length of the segments before they were deflated, with a byte for each."""

    def layout(self, position: int, number: int, /) -> Layout:
        """Return where the rows are once this is stored at *position*, as the how many-th message of the session."""

def check_vocabularies() -> list[Vocabulary]:
    """Hash the published file of every built-in vocabulary, and the embedded one of a reconstruction. About 50 ms."""

@final
class Vocabulary:
    """What a check of a built-in vocabulary found."""

    name: Final[str]
    """The name of the encoding."""

    tokens: Final[int]
    """How many tokens have a rank, special tokens not counted; of a reconstruction, how many pieces it has."""

    sha256_expected: Final[str]
    """The SHA-256 that tiktoken publishes for the vocabulary's file; of a reconstruction, that of its own file."""

    sha256_actual: Final[str]
    """The SHA-256 of the file that the embedded data gives."""

    ok: Final[bool]
    """Whether the embedded vocabulary is the one expected, byte for byte."""

@final
class Encoding:
    """A vocabulary with its rules; immutable, and safe to share between threads."""

    @staticmethod
    def builtin(name: str, /) -> Encoding:
        """Return a built-in encoding; InputError if *name* is not one of `ENCODINGS` or `RECONSTRUCTIONS`."""

    @staticmethod
    def from_json(name: str, json: bytes, /) -> Encoding:
        """Return an encoding of that name from a `tokenizer.json`; InputError if that is no such file."""

    name: Final[str]
    """The name."""

    @property
    def kind(self) -> Literal["exact", "reconstructed"]:
        """How well its counts are known.

        Exact: as the tokenizer itself counts. Reconstructed: as ctok 1.3.0 counts, which was measured on the provider's
        own counts; `encode` and `decode` are not to be had then.
        """

    fingerprint: Final[str]
    """64 hexadecimal digits that identify the vocabulary, the same everywhere and always."""

    def count(self, text: str | bytes) -> int:
        """Return the number of tokens of *text*. O(n), whatever the text is made of.

        Raises:
            InputError: *text* is not Unicode text; the message gives the position.
        """

    def count_batch(self, texts: Sequence[str | bytes], threads: int | None = 1) -> list[int]:
        """Return the number of tokens of each text, in order. The same counts as one by one, with less overhead.

        *threads* is the most that count at once, the calling one among them; None is as many as there are processors
        for this process. A batch starts no more than it is worth: one for each 256 KiB. They end with the call.

        Raises:
            InputError: as `count`; the message gives the index of the text. Or *threads* is below 1.
        """

    def count_until(self, text: str | bytes, limit: int) -> int | None:
        """Return the number of tokens of *text*, or None if there are more than *limit*.

        A built-in encoding reads no further than it must.

        Raises:
            InputError: as `count`, or *limit* is negative.
        """

    def encode(self, text: str | bytes) -> list[int]:
        """Return the token ids of *text*.

        Raises:
            InputError: as `count`, or this is a reconstruction, which has none.
        """

    def decode(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of the tokens *ids*, special tokens as their text.

        They may end inside a character. A `tokenizer.json` gives what its own decoder makes of the ids.

        Raises:
            InputError: an id is in no vocabulary, the message gives it; or this is a reconstruction.
        """

    def counter(self) -> Counter:
        """Return an empty counter."""

    def restore(self, snapshot: bytes) -> Counter:
        """Return a counter that goes on where the one that *snapshot* was taken of was.

        It totals and appends as that one. Its offsets go on too, but `span` and `truncate` know only the text since.

        Raises:
            InputError: the snapshot is damaged, or of another version or vocabulary.
        """

@final
class Counter:
    """A text that grows at its end, and its exact token count.

    With a built-in encoding an append costs in proportion to what is appended plus the few bytes before it that more
    text may still change, even inside an unbroken run of letters, blanks or symbols. With a reconstruction the same
    holds but for unbroken runs beyond ASCII, of which an append, a cut and a span each count the open end again. With
    a `tokenizer.json` an append counts the whole text again.

    Offsets are UTF-8 bytes since the counter was new and must lie between two characters. The counter holds its text,
    and beside it an eighth of its size to answer from, a fifth in an unbroken run. Threads that share one take turns.
    """

    def append(self, text: str | bytes) -> int:
        """Append *text* and return the total so far.

        Bytes may end inside a character, as a stream cuts them: its first bytes are held, and counted when the others
        come. The total is that of the characters that are complete.

        Raises:
            InputError: *text* is not Unicode text, or does not go on with the character that is held; nothing was
                appended, and what was held still is (`truncate` forgets it).
        """

    unfinished_bytes: Final[int]
    """How many bytes are held of a character that is not complete: 0 to 3."""

    total: Final[int]
    """The tokens of everything appended, counted as one text. O(1)."""

    size_bytes: Final[int]
    """The length of everything appended, in UTF-8 bytes, but for `unfinished_bytes`. O(1)."""

    def span(self, start: int, end: int) -> int:
        """Return the tokens of the bytes `[start, end)` counted on their own.

        The text between is not read again (but by a `tokenizer.json`), only a few hundred bytes at either end, wherever
        the ends lie: O(log n), also inside an unbroken run. (The exception is a run of digits beyond ASCII.)

        Raises:
            InputError: an offset is out of range, splits a character (the message says where that starts), or lies
                before the text that a restored counter holds.
        """

    def truncate(self, n_bytes: int) -> int:
        """Keep the first *n_bytes* bytes, forget the rest (and `unfinished_bytes`), and return the total.

        Counts a few hundred bytes anew, also inside an unbroken run (but everything with a `tokenizer.json`).

        Raises:
            InputError: as `span`; nothing was forgotten.
        """

    def snapshot(self) -> bytes:
        """Return bytes from which `Encoding.restore` makes a counter that goes on from here.

        They hold the counts and the open end of the text, of a long unbroken run its last tokens: 85 bytes and a word,
        or 250 to 400 inside such a run, however long the text is. (After 100 KB of conversation, a byte for each KB.)
        With a reconstruction they hold all of such a run, with a `tokenizer.json` the whole text. They carry a version,
        the vocabulary's fingerprint and a checksum.
        """

@final
class Ledger:
    """The sizes of a session's items, in order, and their sums. Threads that share one take turns.

    A place is a number of items: 0 before the first, `len()` behind the last. Ranges are half-open.
    """

    def __new__(cls, sizes: Iterable[_Size] | None = None, /) -> Self:
        """Return the ledger of *sizes*. O(n).

        Raises:
            InputError: a size is not three numbers from 0 to 2^32 - 1; the message gives its index.
        """

    @staticmethod
    def restore(snapshot: bytes, /) -> Ledger:
        """Return the ledger of *snapshot*; InputError if it is damaged, foreign or of another version."""

    def __len__(self) -> int:
        """Return the number of items. O(1)."""

    total: Final[_Size]
    """The sum of all sizes. O(1)."""

    upper: Final[int]
    """The bound of the total that decisions use: a quarter is added to what is estimated. O(1)."""

    def append(self, exact: int, reconstructed: int, estimated: int, /) -> None:
        """Add an item behind the last. O(1). InputError, and nothing, if a number is not from 0 to 2^32 - 1."""

    def put(self, place: int, exact: int, reconstructed: int, estimated: int, /) -> None:
        """Put a size where that of the item behind *place* was. O(n / 64). InputError, and nothing, as `append`."""

    def replace(self, start: int, end: int, sizes: Iterable[_Size], /) -> None:
        """Put *sizes*, of any number, where the items `[start, end)` were. O(k + n / 64).

        Raises:
            InputError: the range is backwards or too long, or a size is as `Ledger` refuses it; nothing was changed.
        """

    def span(self, start: int, end: int, /) -> _Size:
        """Return the sum of the items `[start, end)`. O(n / 64).

        Raises:
            InputError: the range is backwards or reaches behind the end.
        """

    def prefix(self, place: int, /) -> _Size:
        """Return the sum of the items before *place*. O(n / 64).

        Raises:
            InputError: *place* lies behind the end.
        """

    def fit(self, budget: int, /, *, from_end: bool) -> int:
        """Return how many items, from that end, have a sum whose upper bound is at most *budget*. O(n / 64).

        Raises:
            InputError: the budget is negative or above 2^64 - 1.
        """

    def snapshot(self) -> bytes:
        """Return bytes from which `Ledger.restore` makes this ledger again: 20 and 12 an item."""

@final
class Appends:
    """Say what to send next to append to many sessions, given what was answered. No I/O."""

    def __new__(
        cls, reply: str, batch: str, version: int, kinds: list[str], limits: _Limits, packing: Packing, /
    ) -> Self:
        """Have answers come to ``<reply><lane>-<append>``, name batches ``<batch>-<number>``; *kinds* name facts."""

    def load(self, lines: bytes, kinds: bytes, rows: list[_Row], /) -> None:
        """Take what is to be appended, a lane a row: *lines* and *kinds* have one line and one byte for each draft."""

    def send(self) -> bytes:
        """Return the frames to send now."""

    def receive(self, frames: bytes, /) -> bytes:
        """Take answers, which are whole frames, and return the frames to send next."""

    is_over: Final[bool]
    """Whether no lane has anything left to send or to hear."""

    def ends(self) -> list[tuple[int, int, str, int]]:
        """Return how many appends of each lane are stored, and its last sequence, hash and position."""

@final
class Packing:
    """Say how bodies are packed: deflated, with *words* given before."""

    def __new__(cls, words: bytes, from_bytes: int, bytes_max: int, /) -> Self:
        """Leave bodies shorter than *from_bytes* as they are; none is larger than *bytes_max*."""

    def pack(self, body: bytes, /) -> bytes | None:
        """Return *body* in fewer bytes; None if it is short, or less than an eighth would be saved."""

    def unpack(self, stored: bytes, /) -> bytes | None:
        """Return the body that *stored* holds; None if it is damaged or too large."""

@final
class Scan:
    """Read a stream from its start, in its order: events of many sessions, each checked to follow. No I/O."""

    def __new__(cls, version: int, kinds: list[str], packing: Packing, /) -> Self:
        """Expect events of schema *version*, some of them packed; *kinds* are the names of the facts' types."""

    @staticmethod
    def live(version: int, kinds: list[str], packing: Packing, /) -> Scan:
        """Return a scan of what comes from now on: sessions are left out until they are followed."""

    def follow(self, subject: str, seq: int, hash: str, /) -> None:  # noqa: A002 -- as in `Head`
        """Expect what follows *seq*, whose hash (64 letters) is *hash*; up to there all is passed over."""

    def leave(self, subject: str, /) -> None:
        """Leave out the session whose events have *subject* until it is followed again."""

    def receive(self, frames: bytes, /) -> None:
        """Take what a consumer delivers, which are whole frames."""

    def restart(self) -> None:
        """Start anew with a consumer that delivers from the position behind the last one on."""

    status: Final[int | None]
    """The status that ended a pull before it was full, or None."""

    delivered: Final[int]
    """How many messages the consumer has delivered."""

    pending: Final[int | None]
    """How many messages there were behind the last one when it was delivered; None if none was."""

    is_broken: Final[bool]
    """Whether a delivery was lost on the way: the consumer is of no use any more."""

    def give(self) -> _Given:
        """Return what has come since the last call."""

    position: Final[int]
    """The position in the stream of the last message that came."""

@final
class Runs:
    """Hold the items that a scan gives of each session, one after the other, until something else happens in it."""

    def __new__(cls, appended: int, /) -> Self:
        """Take events of kind *appended* for items, if they are plain."""

    held_bytes: Final[int]
    """How many bytes of items are held."""

    def take(self, scan: Scan, /) -> tuple[_Given, list[Run | None]]:
        """Return what *scan* has given, without what is held, and the run of its session before each other event."""

    def rest(self) -> list[Run]:
        """Return all runs, and hold nothing."""

@final
class Run:
    """Items that were appended to one session one after the other. Its length is their number."""

    subject: Final[str]
    """The subject of the session's events."""

    seq: Final[int]
    """The sequence of the last of these events."""

    hash: Final[str]
    """Its hash."""

    latest: Final[str]
    """The latest time that one of them names, in UTC, without a zone."""

    def __len__(self) -> int: ...
    def entries(self, encoding: Encoding, first_item: int, ledger: Ledger, /) -> bytes:
        """Return the items as entries, in JSON, and add their sizes to *ledger*; InputError if one is unreadable."""

@final
class Splitter:
    """Part what a NATS server sends into our messages and everything else."""

    def __new__(cls, prefix: str, /) -> Self:
        """Take messages to ``<prefix><run>-…`` for ours."""

    def take(self, chunk: bytes, /) -> tuple[list[tuple[int, bytes]], bytes]:
        """Return our messages in *chunk* as whole frames, by run, and the rest; what is not whole is held."""

    def watch(self, sid: int, run: int | None, /) -> None:
        """Take the messages of subscription *sid* for those of *run*; None: leave them to others again."""

    def reset(self) -> None:
        """Forget a frame that has begun: the connection is a new one."""

@final
class Guard:
    """Rules and protected texts, to be looked for in every disguise of a text; immutable, shared by threads."""

    def __new__(cls, rules: list[tuple[str, list[str], str]], protected: list[str], /) -> Self:
        """Make one of rules and of texts that are not to be told.

        A rule is its name, the words that an order begins with, and how it goes on: a regular expression (of Rust's
        regex
        crate) on folded text, from right behind the word, within 240 bytes. Of *protected*, eight words in a row or 32
        letters are a passage. Raises InputError if an expression cannot be read, or a rule has no beginning.
        """

    def orders(self, text: str, /) -> list[tuple[str, str]]:
        """Return the rules that *text* meets, each once, with the view that it was first met in. O(text)."""

    def leaks(self, text: str, canaries: list[str], /) -> list[str]:
        """Return the views of *text* that hold a passage, or one of *canaries* (small letters and digits). O(text)."""

def folded(text: str, /) -> str:
    """Return *text* in one spelling: NFKC, lower case, no hidden characters, look-alikes as Latin letters. O(text)."""

def is_encoded(value: str, /) -> bool:
    """Return whether *value*, a word, is a sentence in another writing (base64, hex, escapes). O(characters)."""

def origins(lines: list[str], texts: list[tuple[int, str]], /) -> list[tuple[int, list[int], bool, bool, bool]]:
    """Return where each of *lines* comes from, of *texts* with whose words they are. O(characters), one pass.

    Whose words: 0 the user's or the system's, 1 the agent's, 2 a tool's or a page's. Of each line: whose words it is at
    least; the texts that parts of it stand in, by number, ascending; whether all of it is the user's or the system's;
    whether so much of it that it is no chance is a tool's or a page's and no one else's; whether a row of 40 letters
    and digits is in it that stands nowhere. A part is six words in a row, or ten Chinese characters, as they stand, in
    another writing, reversed, in rot13 or atbash. Raises InputError for half a surrogate pair.
    """
