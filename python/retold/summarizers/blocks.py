"""The one compaction among what a provider answered.

Rules:
- Exactly one compaction, with something in it, is an answer. None, two, or an empty one is a failure: a history that
  was replaced by nothing would be lost.
- The block is kept as the bytes that came, never as what a client made of them.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw, Struct

from retold.errors import RejectedError, UnavailableError
from retold.events import Form, Opaque
from retold.fold import Context
from retold.summarizers.answers import read_json


class _Block(Struct, frozen=True):
    type: str
    encrypted_content: Any = None
    content: Any = None


def one_block(output: Sequence[Raw], form: Form, *, provider: str, model: str) -> Opaque:
    """Return the one compaction among a provider's items, bound to *provider* and *model*; others are passed over.

    Raises:
        RejectedError: if there is none, more than one, or one with nothing in it.
    """
    read = [(bytes(raw), read_json(bytes(raw), _Block)) for raw in output]
    found = [(body, block) for body, block in read if "compaction" in block.type]
    if len(found) != 1:
        raise RejectedError("several compactions" if found else "no compaction")
    body, block = found[0]
    content = block.encrypted_content if form == "responses" else block.content
    if not isinstance(content, str) or not content.strip():
        raise RejectedError("empty")
    return Opaque(form=form, kind=block.type, body=body.decode(), provider=provider, model=model)


def model_of(context: Context) -> str:
    """Return the model that the session's newest usage report names.

    Raises:
        UnavailableError: if none does: nobody knows whom a block would have to be for.
    """
    if context.usage is None or not context.usage.model:
        raise UnavailableError("expected a usage report that names the session's model, there is none")
    return context.usage.model
