"""A provider's compaction, in the one of two ways that its reader understands: the block itself, or what it stands for.

Rules:
- The block goes to the form, and the model, that it is bound to; every other reader is sent its words instead. Nobody
  is sent both.
- A block without words is sent where its form is, as ever: it came from an agent, who knows whose it is.
- Anthropic takes one compaction block, and as the first of the conversation. So it comes before what was kept word for
  word beside it, and where an agent's own block follows, ours is sent in words.
"""

from collections.abc import Iterable

from retold.events.items import Form, Item, Message, Opaque, Text


def is_compaction(item: Item) -> bool:
    """Return whether *item* is a provider's compaction: its block stands for what came before it."""
    return isinstance(item, Opaque) and "compaction" in item.kind


def sendable(items: Iterable[Item], form: Form, *, model: str | None = None) -> list[Item]:
    """Return *items* with each compaction as a reader of *form* understands it; *model* None is whom it is bound to."""
    out = list(items)
    for at in [at for at, item in enumerate(out) if isinstance(item, Opaque) and item.words]:
        block = out[at]
        assert isinstance(block, Opaque)
        followed = form == "anthropic" and any(is_compaction(later) for later in out[at + 1 :])
        if followed or not _is_bound(block, form, model):
            out[at] = Message(role="user", content=(Text(block.words),), id=block.id)
        elif form == "anthropic":
            out = _block_first(out, at)
    return out


def _is_bound(block: Opaque, form: Form, model: str | None) -> bool:
    return block.form == form and model in (None, block.model, f"{block.provider}:{block.model}")


def _block_first(items: list[Item], at: int) -> list[Item]:
    """Return *items* with the block at *at* before all but the system's text, which is no message there."""

    def place(position: int) -> int:
        item = items[position]
        is_told = isinstance(item, Message) and item.role in ("system", "developer")
        return 0 if is_told and position < at else 1 if position == at else 2

    return [items[position] for position in sorted(range(len(items)), key=place)]
