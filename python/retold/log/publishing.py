"""What readers are to find of a session: its newest replacement history if it can be sent, and else none.

What came before the newest was replaced, rewound, undone or edited away; none of it is to be read where that was.
"""

from retold.fold import Context, encode_history, replacement_of
from retold.ports import Log, Published


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


async def publish(log: Log, context: Context) -> None:
    """Publish the newest replacement history of *context*, or withdraw what is older where it does not fit the window.

    May be repeated, and late: nothing newer is touched.

    Raises:
        UnavailableError: if the log could not be reached; repeat the call.
    """
    published = published_of(context)
    if published is not None:
        await log.publish_history(context.key, published)
    else:
        await log.withdraw_history(context.key, version=context.version, seq=context.version_seq)
