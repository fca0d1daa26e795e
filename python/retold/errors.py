"""Every error that Retold raises on purpose, by whose fault it is and what to do.

    RetoldError
    ├── InputError           the caller's: fix the call and repeat it
    │   ├── FloorError       the budget is below what must be kept: raise it or unpin
    │   └── UnsealError      a sealed summary does not open here: it was changed, or is another's
    ├── ConflictError        somebody else wrote first: read again, decide again
    ├── UnavailableError     the outside world's: retry later, nothing was lost
    │   └── RejectedError    a model answered, with what is no summary: ask another
    ├── SealError            a key is missing: give it, no retry helps
    └── CorruptLogError      the log is not what was written: stop, show a human
        └── SchemaError      an event of a version this release cannot read: upgrade Retold

Messages say what was expected, what came and where. They never hold transcript text or keys.
"""


class RetoldError(Exception):
    """Be the root of the tree: catching it catches every error of Retold's own."""


class InputError(RetoldError, ValueError):
    """Say that an argument or an input is wrong; the message names what was expected."""


class FloorError(InputError):
    """Say that what must be kept verbatim is larger than the budget.

    Attributes:
        floor_tokens: the smallest size that keeps every pin and the latest user message.
        budget_tokens: the size that was asked for.
    """

    def __init__(self, *, floor_tokens: int, budget_tokens: int) -> None:
        """Name both sizes, in tokens."""
        self.floor_tokens = floor_tokens
        self.budget_tokens = budget_tokens
        super().__init__(
            f"expected a budget of at least {floor_tokens} tokens (pins and the latest user message are kept whole), "
            f"got {budget_tokens}"
        )


class UnsealError(InputError):
    """Say that a sealed summary does not open here. The message is always the same, whatever is wrong.

    Whoever sent it learns nothing from it about keys, tenants and sessions.

    Attributes:
        why: what is wrong, in a word or two: for the operator's log, never for whoever sent it.
    """

    def __init__(self, why: str) -> None:
        """Keep *why*, and do not tell it."""
        self.why = why
        super().__init__("expected a compaction that was sealed here for this conversation, got one that does not open")


class ConflictError(RetoldError):
    """Say that the session moved on: the append expected one last sequence and found another.

    Attributes:
        session: the session's name.
        expected: the last sequence that the writer had seen; 0 if there was to be no session.
        actual: the last sequence in the log, to read up to before deciding again; 0 if there is no session.
    """

    def __init__(self, *, session: str, expected: int, actual: int) -> None:
        """Name the session and both sequences."""
        self.session = session
        self.expected = expected
        self.actual = actual
        super().__init__(f"expected session {session!r} to end at sequence {expected}, it ends at {actual}")


class UnavailableError(RetoldError):
    """Say that the server, a stream or a file could not be reached; nothing was lost, retry later."""


class RejectedError(UnavailableError):
    """Say that a model answered, and that its answer cannot stand for what it was shown; nothing was lost.

    Attributes:
        why: what is wrong with the answer, in a word: empty, refused, truncated, garbage and so on.
    """

    def __init__(self, why: str) -> None:
        """Name what is wrong, never what the model wrote."""
        self.why = why
        super().__init__(f"expected a summary that can be used, got one that is {why}")


class SealError(RetoldError):
    """Say that a session is sealed and its key is not here: give the key that the message names.

    Attributes:
        key: the id of the key that is missing: of the master key where that is known, else of the data key.
    """

    def __init__(self, reason: str, *, key: str) -> None:
        """Say what is sealed, and name the key."""
        self.key = key
        super().__init__(reason)


class CorruptLogError(RetoldError):
    """Say that a session's events are damaged: a gap, a broken chain, or a hash that does not match.

    Attributes:
        session: the session's name, or an empty string where it is not known.
        seq: the first damaged sequence.
    """

    def __init__(self, reason: str, *, session: str, seq: int) -> None:
        """Name the session, the first damaged sequence and what is wrong there."""
        self.session = session
        self.seq = seq
        self.reason = reason
        super().__init__(f"session {session!r} is damaged at sequence {seq}: {reason}")


class SchemaError(CorruptLogError):
    """Say that an event was written by a newer Retold, or is of a type that no version knows."""
