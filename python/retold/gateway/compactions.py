"""Compaction items in a request: ours are opened, a provider's own are left as they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from retold.errors import UnsealError
from retold.gateway.faults import Fault
from retold.security import Binding, MasterKeys, is_sealed_summary, model_family, open_summary

KINDS: Final = ("compaction", "compaction_summary", "context_compaction")
TRIGGER: Final = "compaction_trigger"
MARK: Final = b"compaction"
"""A body without these letters has neither item."""


class Seals:
    """Bind and open the summaries of one tenant."""

    def __init__(self, keys: MasterKeys, *, tenant: str) -> None:
        """Seal with the first of *keys*, for *tenant*."""
        self.keys = keys
        self._tenant = tenant

    def binding(self, model: str, session: str | None) -> Binding:
        """Return where a summary for *model* belongs; *session* None is any session of the tenant's."""
        return Binding(tenant=self._tenant, family=model_family(model), session=session)

    def open(self, messages: Sequence[Mapping[str, Any]], *, model: str, session: str | None) -> list[dict[str, Any]]:
        """Return *messages* with the words of each sealed summary in its place, said as the user's.

        Raises:
            Fault: if one does not open here. All that do not are refused with the same words.
        """
        binding = self.binding(model, session)
        return [self._opened(message, binding) for message in messages]

    def _opened(self, message: Mapping[str, Any], binding: Binding) -> dict[str, Any]:
        content = message.get("encrypted_content")
        if message.get("type") not in KINDS or not isinstance(content, str) or not is_sealed_summary(content):
            return dict(message)
        try:
            text = open_summary(content, binding, keys=self.keys).text
        except UnsealError as error:
            raise refusal(error) from None
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def refusal(error: UnsealError) -> Fault:
    """Return the one answer to every compaction that cannot be read here."""
    return Fault(400, str(error), code="invalid_encrypted_content")


def is_foreign(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether *messages*, ours opened, hold a compaction that only another provider can read."""
    return any(message.get("type") in KINDS for message in messages)


def is_trigger(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether *messages* end with the item that asks for a compaction."""
    return bool(messages) and messages[-1].get("type") == TRIGGER
