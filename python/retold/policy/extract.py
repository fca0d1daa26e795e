"""A summary without a model: deterministic, extractive, and built on the summary before it.

Each line is taken from an entry, cut to `LINE_CHARACTERS_MAX`; nothing is invented. What the user asked for and what
was said last are whole, as far as the budget allows: they need no cue, so where nothing else tells, they fill it.

It is the default summarizer and what a worker falls back on when a model fails. English and Chinese cues are known;
other languages keep goal, files, errors and last step, which need none.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from retold.events import Message, Reasoning, SummaryField, ToolCall, ToolResult, plain_text
from retold.fold import Entry
from retold.policy.blocks import read_block
from retold.policy.bonds import is_user, open_calls
from retold.policy.fitting import within_budget
from retold.policy.paths import file_actions
from retold.policy.summary import FIELDS
from retold.tokens import Encoding

LINE_CHARACTERS_MAX = 240
"""A line is cut to this."""

LINES_MAX = 40
"""A section holds at most this many lines, the newest."""

TEXT_CHARACTERS_MAX = 20_000
"""Of one text, this much is searched, half from its head and half from its tail."""

_SENTENCE = re.compile(r"[^\n.!?。！？]+(?:[.!?。！？](?=\S)[^\n.!?。！？]*)*[.!?。！？]?")  # noqa: RUF001 - Chinese stops
_RULE = re.compile(
    r"\b(must|never|always|don't|do not|should not|only|make sure|ensure|require[sd]?|forbidden|avoid|prefer)\b"
    r"|必须|不要|不能|禁止|务必|始终|只能|确保|请勿|一定",
    re.IGNORECASE,
)
_DECISION = re.compile(
    r"\b(decided|decision|instead of|let's use|i'll use|we'll use|going with|chosen?|root cause|turns out|because)\b"
    r"|决定|选择|改用|采用|原因是|根因",
    re.IGNORECASE,
)
_ERROR = re.compile(
    r"\b\w*(?:Error|Exception)\b:?|\bpanicked at\b|\bFAILED\b|\bfatal:|\berror(?:\[\w+\])?:|exit code:? [1-9]"
    r"|错误|失败|异常"
)
_OPEN = re.compile(
    r"^\s*(?:[-*]\s*)?\[ \]|\b(todo|next step|remaining|still need|will now|not yet|left to do|follow-up)\b"
    r"|下一步|待办|还需要|尚未|接下来",
    re.IGNORECASE,
)
_FACT = re.compile(
    r"\b\d+(?:\.\d+)?\s?(?:%|ms|s|MB|GB|KB|tokens?|tests?|passed|failed|lines?)(?![\w.])|\bv?\d+\.\d+\.\d+\b"
    r"|\bport \d+|https?://[^\s)\"']+|\b[0-9a-f]{7,40}\b(?=[\s).,])"
)


class _Line(Struct, frozen=True):
    text: str
    seq: int


def extract_summary(
    entries: Sequence[Entry],
    *,
    previous: Sequence[SummaryField],
    budget_tokens: int,
    item_id: str,
    encoding: Encoding,
) -> tuple[SummaryField, ...]:
    """Return the fields of a summary of *entries*, oldest first, built on *previous*, within *budget_tokens*.

    The fields are those of `FIELDS`, in that order; a field may be empty. *item_id* is the summary's own id.
    """
    found: dict[str, list[_Line]] = {
        "goal": _goal(entries),
        "constraints": _matching(entries, _RULE, of=is_user),
        "decisions": _matching(entries, _DECISION, of=_is_assistant),
        "files": _files(entries),
        "errors": _errors(entries),
        "open_work": _open_work(entries),
        "last_step": _last_step(entries),
        "facts": _matching(entries, _FACT, of=_is_assistant),
    }
    before = {field.name: field for field in previous}
    fields = [_merged(name, before.get(name), found[name]) for name in FIELDS]
    return within_budget(fields, budget_tokens=budget_tokens, encoding=encoding, item_id=item_id, covers=len(entries))


def _merged(name: str, before: SummaryField | None, found: Sequence[_Line]) -> SummaryField:
    """Return *before* with what was *found* after it, each line once, where it was said last."""
    if name == "last_step" and found:
        before = None
    old = () if before is None else before.lines
    new = [line.text for line in found]
    if name == "files":
        old = _without_older_paths(old, new)
    lines = list(dict.fromkeys(reversed([*old, *new])))[:LINES_MAX]
    seqs = {line.seq for line in found} | set(() if before is None else before.seqs)
    return SummaryField(name=name, lines=tuple(reversed(lines)), seqs=tuple(sorted(seqs)))


def _without_older_paths(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    paths = {line.rpartition(": ")[0] for line in new}
    return tuple(line for line in old if line.rpartition(": ")[0] not in paths)


def _is_assistant(entry: Entry) -> bool:
    return isinstance(entry.item, Message) and entry.item.role in ("assistant", "compressed")


def _text(entry: Entry) -> str:
    item = entry.item
    text = plain_text(item.content) if isinstance(item, Message | ToolResult) else ""
    text = item.text if isinstance(item, Reasoning) else text
    text = block.text if entry.form == "compressed" and (block := read_block(item)) is not None else text
    if len(text) <= TEXT_CHARACTERS_MAX:
        return text
    half = TEXT_CHARACTERS_MAX // 2
    return text[:half] + "\n" + text[-half:]


def _whole(entry: Entry) -> _Line:
    return _Line(text=" ".join(_text(entry).split()).lstrip("-*#> "), seq=entry.seq)


def _line(text: str, entry: Entry) -> _Line:
    text = " ".join(text.split())
    if len(text) > LINE_CHARACTERS_MAX:
        text = text[: LINE_CHARACTERS_MAX - 1].rstrip() + "…"
    return _Line(text=text.lstrip("-*#> "), seq=entry.seq)


def _sentences(text: str) -> list[str]:
    return [match.group().strip() for match in _SENTENCE.finditer(text)]


def _matching(entries: Iterable[Entry], cue: re.Pattern[str], *, of: Callable[[Entry], bool]) -> list[_Line]:
    return [
        _line(sentence, entry)
        for entry in entries
        if of(entry)
        for sentence in _sentences(_text(entry))
        if cue.search(sentence) and len(sentence) > 8
    ]


def _goal(entries: Sequence[Entry]) -> list[_Line]:
    asked = [entry for entry in entries if is_user(entry) and not _text(entry).lstrip().startswith("<")]
    return [line for entry in asked if (line := _whole(entry)).text]


def _files(entries: Sequence[Entry]) -> list[_Line]:
    """Return a line a file, ``path: what was done, what was done``, in the order in which files were touched last."""
    actions: dict[str, tuple[dict[str, None], int]] = {}
    for entry in entries:
        if isinstance(entry.item, ToolCall):
            for path, action in file_actions(entry.item):
                done = actions.pop(path, ({}, 0))[0]
                actions[path] = ({**done, action: None}, entry.seq)
    return [_Line(text=f"{path}: {', '.join(done)}", seq=seq) for path, (done, seq) in actions.items()]


def _errors(entries: Sequence[Entry]) -> list[_Line]:
    errors: list[_Line] = []
    for entry in entries:
        if not isinstance(entry.item, ToolResult):
            continue
        lines = _text(entry).splitlines()
        telling = [line for line in lines if _ERROR.search(line)]
        if not telling and entry.item.is_error:
            telling = [line for line in lines if line.strip()][-1:]
        errors.extend(_line(line, entry) for line in telling[-2:])
    return errors


def _open_work(entries: Sequence[Entry]) -> list[_Line]:
    said = [entry for entry in entries if _is_assistant(entry)][-6:]
    lines = [_line(line, entry) for entry in said for line in _text(entry).splitlines() if _OPEN.search(line)]
    waiting = [entries[at] for at in sorted(open_calls(entries))]
    calls = [
        _Line(text=f"waiting for the result of {entry.item.name}", seq=entry.seq)
        for entry in waiting
        if isinstance(entry.item, ToolCall)
    ]
    return lines + calls


def _last_step(entries: Sequence[Entry]) -> list[_Line]:
    for entry in reversed(entries):
        if _is_assistant(entry) and (line := _whole(entry)).text:
            return [line]
        if isinstance(entry.item, ToolCall):
            return [_line(f"called {entry.item.name} with {entry.item.arguments}", entry)]
    return []
