"""What readers are to find of a session: its newest replacement history, if it can be sent."""

from retold.fold import Context, encode_history, replacement_of
from retold.ports import Published


def published_of(context: Context) -> Published | None:
    """Return the newest replacement history of *context*, to be published; None if it does not fit the window."""
    history = replacement_of(context)
    if history.tokens > context.window.input_limit:
        return None
    return Published(
        version=context.version,
        seq=context.version_seq,
        base_seq=context.base_seq,
        hash=history.hash,
        body=encode_history(history),
    )
