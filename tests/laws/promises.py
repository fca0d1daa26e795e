"""What every compaction promises, checked on one that was made: written anew here, without the policy's own bonds."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, structs

from retold.events import HistoryReplaced, Message, ToolCall, ToolResult
from retold.fold import PRIMING, Context, Entry, Tokens, count_item, item_hash
from retold.policy import Limits
from retold.tokens import encoding

_IN_THE_USERS_PLACE = ("summary", "compressed")


class Made(Struct, frozen=True):
    """Hold a compaction that was made.

    Attributes:
        before: the state that it was decided on.
        limits: the sizes that it was to keep to.
        replaced: what was recorded.
        entries: the history that it gave, without what was appended since.
    """

    before: Context
    limits: Limits
    replaced: HistoryReplaced
    entries: tuple[Entry, ...]


def bundles(entries: Sequence[Entry]) -> list[set[str]]:
    """Return the ids that may not be parted: a call with every result that answers it, and calls made in parallel."""
    newest: dict[str, set[str]] = {}
    found: list[set[str]] = []
    before: Entry | None = None
    for entry in entries:
        item = entry.item
        if isinstance(item, ToolCall):
            parallel = before is not None and isinstance(before.item, ToolCall)
            if not parallel:
                found.append(set())
            found[-1].add(item.id)
            newest[item.call_id] = found[-1]
        elif isinstance(item, ToolResult) and item.call_id in newest:
            newest[item.call_id].add(item.id)
        before = entry
    return found


def must_stay(context: Context) -> list[Entry]:
    """Return what no compaction may touch: system and developer text, pins, and the latest message of the user."""
    told = [
        entry
        for entry in context.entries
        if isinstance(entry.item, Message) and entry.item.role == "user" and entry.form not in _IN_THE_USERS_PLACE
    ]
    latest = {told[-1].item.id} if told else set()
    return [
        entry
        for entry in context.entries
        if entry.item.id in {*context.pinned, *latest}
        or (isinstance(entry.item, Message) and entry.item.role in ("system", "developer"))
    ]


def breaches(made: Made) -> list[str]:
    """Return each promise that *made* breaks, by name."""
    found = {
        "its size is what a recount gives": _recounted(made),
        "its target is the policy's": _is_aimed(made),
        "it is smaller, within its target and below the ceiling": _fits(made),
        "calls, results and parallel calls stay or leave together": _keeps_bundles(made),
        "pins and the latest user message stay word for word": _keeps_pins(made),
        "nothing is there twice": _has_no_doubles(made),
        "what stays keeps its order": _keeps_order(made),
        "the receipt accounts for every entry": _accounts(made),
    }
    return [promise for promise, is_kept in found.items() if not is_kept]


def _recounted(made: Made) -> bool:
    vocabulary = encoding(made.before.encoding)
    size = sum((count_item(entry.item, vocabulary) for entry in made.entries), Tokens()).upper + PRIMING
    return size == made.replaced.receipt.tokens_after


def _is_aimed(made: Made) -> bool:
    """A target is the one asked for, or the policy's; an offload may stop in the band, truncation at more."""
    asked = 0 if made.before.requested is None else made.before.requested.target_tokens
    own = min(asked or made.limits.target, made.limits.ceiling)
    target, tier = made.replaced.receipt.target_tokens, made.replaced.tier
    return target == own or (tier == "offload" and target == made.limits.offload_at) or tier == "truncate"


def _fits(made: Made) -> bool:
    receipt = made.replaced.receipt
    size = receipt.tokens_after
    return size < receipt.tokens_before and size <= receipt.target_tokens and size <= made.limits.ceiling


def _keeps_bundles(made: Made) -> bool:
    after = {entry.item.id for entry in made.entries}
    return all(bundle <= after or bundle.isdisjoint(after) for bundle in bundles(made.before.entries))


def _keeps_pins(made: Made) -> bool:
    must = [entry.item for entry in must_stay(made.before)]
    ids = {item.id for item in must}
    return [entry.item for entry in made.entries if entry.item.id in ids] == must


def _has_no_doubles(made: Made) -> bool:
    ids = [entry.item.id for entry in made.entries]
    before, after = _contents(made.before.entries), _contents(made.entries)
    return len(set(ids)) == len(ids) and all(before[content] >= times for content, times in after.items() if times > 1)


def _contents(entries: Sequence[Entry]) -> Counter[str]:
    """Count how often each content is there, ids aside; cleared reasoning has none."""
    items = [entry.item for entry in entries if entry.tokens.total]
    return Counter(item_hash(structs.replace(item, id="")) for item in items)


def _keeps_order(made: Made) -> bool:
    place = {entry.item.id: at for at, entry in enumerate(made.before.entries)}
    places = [place[entry.item.id] for entry in made.entries if entry.item.id in place]
    return places == sorted(places)


def _accounts(made: Made) -> bool:
    receipt = made.replaced.receipt
    gone = [*receipt.offloaded, *receipt.summarised, *receipt.dropped, *receipt.cut]
    ids = {entry.item.id for entry in made.before.entries}
    return len(set(gone)) == len(gone) and set(gone) <= ids and receipt.kept + len(gone) == len(ids)
