"""What readers are to find of a session: its newest replacement history if it can be sent, and else none.

What came before the newest was replaced, rewound, undone or edited away; none of it is to be read where that was.
"""

from retold.fold import Context, Rows, history_body, replacement_of
from retold.ports import Log, Published


def published_of(context: Context, *, rows: Rows | None = None, known_hash: str | None = None) -> Published | None:
    """Return the newest replacement history of *context*, to be published; None if it does not fit the window.

    *rows* are used if they are of its entries; *known_hash* as in `replacement_of`.
    """
    history = replacement_of(context, known_hash=known_hash)
    if history.tokens > context.window.input_limit:
        return None
    return Published(
        version=context.version,
        seq=context.version_seq,
        base_seq=context.base_seq,
        hash=history.hash,
        body=history_body(history, rows=rows),
    )


async def publish(log: Log, context: Context, *, rows: Rows | None = None, known_hash: str | None = None) -> None:
    """Publish the newest replacement history of *context*, or withdraw what is older where it does not fit the window.

    May be repeated, and late: nothing newer is touched.

    Raises:
        UnavailableError: if the log could not be reached; repeat the call.
    """
    published = published_of(context, rows=rows, known_hash=known_hash)
    if published is not None:
        await log.publish_history(context.key, published)
    else:
        await log.withdraw_history(context.key, version=context.version, seq=context.version_seq)
