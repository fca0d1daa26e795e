"""What an agent sends where no worker compacted in time: the same engine, on the reader's side, recorded nowhere."""

from msgspec import structs

from retold.fold import Context, History, history_hash, history_of, ledger_of, request_size
from retold.policy.compacting import carry_out
from retold.policy.limits import limits_for


def is_sendable(context: Context) -> bool:
    """Return whether the history of *context* is no larger than what a request may take. O(1)."""
    return context.tokens.upper <= limits_for(context).ceiling


def fit_locally(context: Context) -> History:
    """Return the history of *context* as it can be sent: itself if it fits, else what the engine makes of it.

    Deterministic: the same events give the same bytes, whoever asks. A summary is extracted, no model is asked.

    Raises:
        FloorError: if what must be kept verbatim is larger than the window.
    """
    history = history_of(context)
    if is_sendable(context):
        return history
    entries = carry_out(context, limits_for(context)).entries
    return structs.replace(
        history,
        counted=request_size(ledger_of(entries)),
        hash=history_hash(entries),
        entries=entries,
        is_local=True,
    )
