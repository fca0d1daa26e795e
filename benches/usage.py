"""How far are our counts of whole requests from what providers reported, and how far with calibration?

Reads the recorded sessions in ``../shared/data``, or in the folder that is given. Prints two tables; with ``--json``,
the same as JSON. Sessions do not record tools and system text. So the difference of a session's second request is taken
for what was not recorded, and added to each later one (the second: Claude Code adds reminders after the first). A
session is left where old results were cleared from its requests in a way that is not recorded.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from retold import RequestSize, count_request
from retold.client.importing import ENCODING
from retold.events import Draft, Fact, Head, SessionKey, SessionOpened, UsageReported, Window, record
from retold.fold import Builder, Calibration
from retold.fold.calibration import is_reply
from retold.formats import Happened, Problem, Start, read_transcript, render, split_lines
from retold.formats.models import encoding_of

KEY = SessionKey(tenant="default", session="bench")
WINDOW = Window(hard_limit=1_000_000, pre_rot=150_000)
SECOND = 2
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Request(NamedTuple):
    """One request: where it was recorded, what we count and what the provider reported."""

    source: str
    ours: int
    lower: int
    upper: int
    said: int


class Unseen:
    """What a session's requests held that was not recorded, by its second request."""

    def __init__(self) -> None:
        """Start before the first."""
        self._differences: list[int] = []

    def compare(self, source: str, size: RequestSize, said: int) -> Iterator[Request]:
        """Yield the request beside what was reported, once what was not recorded is known."""
        if len(self._differences) == SECOND:
            unseen = self._differences[-1]
            yield Request(source, size.tokens + unseen, size.lower + unseen, size.upper + unseen, said)
        else:
            self._differences.append(said - size.tokens)


class Guess(NamedTuple):
    """What we took a request for, without and with the calibration by the reports before it."""

    source: str
    plain: int
    calibrated: int
    said: int


def _recorded_calls(data: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the bodies of recorded calls with the input tokens that the provider reported."""
    yaml = import_module("yaml")
    for file in sorted((data / "api-cassettes").glob("*.yaml")):
        for call in yaml.safe_load(file.read_text(encoding="utf-8"))["interactions"]:
            body, reply = (call[side].get("parsed_body") for side in ("request", "response"))
            usage = reply.get("usage") if isinstance(reply, dict) else None
            if usage and not call["request"]["uri"].endswith("/compact"):
                usage = usage.get("iterations", [usage])[0]
                cached = usage.get("cache_creation_input_tokens", 0) + usage.get("cache_read_input_tokens", 0)
                yield body, usage.get("input_tokens", usage.get("prompt_tokens", 0)) + cached


def _calls(data: Path) -> Iterator[Request]:
    for body, said in _recorded_calls(data):
        if "previous_response_id" in body:
            continue  # most of the request lies at the provider
        size = count_request(body)
        items = body.get("input", [])
        sealed = any(isinstance(item, dict) and "encrypted_content" in item for item in items)
        source = f"{size.form}, recorded calls{' with encrypted items' if sealed else ''}"
        yield Request(source, size.tokens, size.lower, size.upper, said)


def _transcripts(data: Path) -> Iterator[tuple[str, str, list[Fact]]]:
    """Yield the first session of each transcript: whose it is, what counts it when it is imported, and its facts."""
    for source, folder in (("responses, Codex sessions", "codex"), ("anthropic, Claude Code sessions", "claude-code")):
        for file in sorted((data / folder).rglob("*.jsonl")):
            starts, facts, encoding = 0, [], ENCODING
            for told in read_transcript(split_lines([file.read_bytes()]), name=file.name):
                if isinstance(told, Problem) and told.reason.startswith("a microcompaction"):
                    break
                if isinstance(told, Start):
                    starts += 1
                    encoding = (encoding_of(told.model) if starts == 1 else None) or encoding
                if isinstance(told, Happened) and starts == 1:
                    facts.append(told.fact)
            models = {fact.model for fact in facts if isinstance(fact, UsageReported)}
            yield (
                f"{source}, {'/'.join(sorted(models)).removesuffix('-20251101')}"
                if folder == "claude-code"
                else source,
                encoding,
                facts,
            )


def _states(facts: list[Fact], encoding: str) -> Iterator[tuple[UsageReported, Builder, Calibration]]:
    """Yield each report with the session as it was there, and the calibration before it."""
    builder, head = Builder(), Head()
    for number, fact in enumerate([SessionOpened(window=WINDOW, encoding=encoding), *facts]):
        before = builder.outline.calibration if number else Calibration()
        recorded = record([Draft(id=str(number), at=NOW, actor="bench", data=fact)], key=KEY, head=head)[0]
        builder.apply(recorded)
        head = recorded.head
        if isinstance(fact, UsageReported):
            yield fact, builder, before


def _sent(builder: Builder) -> list[Any]:
    """Return the items of the request that brought the newest reply."""
    items = [entry.item for entry in builder.freeze().entries]
    while items and is_reply(items[-1]):
        items.pop()
    return items


def _sessions(data: Path) -> Iterator[Request | Guess]:
    for source, encoding, facts in _transcripts(data):
        form = "anthropic" if source.startswith("anthropic") else "responses"
        unseen = Unseen()
        for usage, builder, before in _states(facts, encoding):
            said, reference = usage.input_tokens, builder.outline.calibration.places[0].reference_tokens
            yield Guess(source, reference, before.charged(reference), said)
            size = count_request(render(_sent(builder), form), form=form, model=usage.model)
            yield from unseen.compare(source, size, said)


def _chats(data: Path) -> Iterator[Request]:
    for file in sorted((data / "pi").rglob("*.jsonl")):
        messages: list[dict[str, Any]] = []
        unseen = Unseen()
        for line in file.read_text(encoding="utf-8").split("\n"):
            message = json.loads(line).get("message") if line.strip() else None
            usage = (message or {}).get("usage")
            if usage and usage["input"] + usage["cacheRead"] > 0:
                said = usage["input"] + usage["cacheRead"] + usage["cacheWrite"]
                size = count_request(messages, model=message["model"])
                yield from unseen.compare("chat, pi sessions, DeepSeek", size, said)
            messages += [_chat_of(message)] if message else []


def _chat_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return one of pi's messages as it is sent to a Chat Completions provider."""
    parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
    text = "".join(part.get("text", "") for part in parts)
    if message["role"] == "toolResult":
        return {"role": "tool", "tool_call_id": message["toolCallId"], "content": text}
    sent: dict[str, Any] = {"role": message["role"], "content": text}
    thoughts = "".join(part.get("thinking", "") for part in parts)
    calls = [
        {"id": part["id"], "type": "function", "function": {"name": part["name"], "arguments": part["arguments"]}}
        for part in parts
        if part.get("type") == "toolCall"
    ]
    return sent | ({"reasoning_content": thoughts} if thoughts else {}) | ({"tool_calls": calls} if calls else {})


def _shares(errors: list[float]) -> dict[str, float]:
    ordered = sorted(errors, key=abs)
    return {
        "median": round(100 * ordered[len(ordered) // 2], 1),
        "p90": round(100 * ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)], 1),
        "worst": round(100 * ordered[-1], 1),
    }


def _request_rows(requests: list[Request]) -> list[dict[str, Any]]:
    rows = []
    for source in sorted({one.source for one in requests}):
        mine = [one for one in requests if one.source == source]
        within = sum(one.lower <= one.said <= one.upper for one in mine)
        errors = _shares([(one.ours - one.said) / one.said for one in mine])
        rows.append({"source": source, "requests": len(mine), **errors, "within": within})
    return rows


def _guess_rows(guesses: list[Guess]) -> list[dict[str, Any]]:
    rows = []
    for source in sorted({one.source for one in guesses}):
        mine = [one for one in guesses if one.source == source]
        row: dict[str, Any] = {"source": source, "requests": len(mine)}
        for kind in ("plain", "calibrated"):
            errors = _shares([(getattr(one, kind) - one.said) / one.said for one in mine])
            row |= {f"{kind} {name}": value for name, value in errors.items()}
        rows.append(row)
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    lines = [" | ".join(names), "|".join("---" for _ in names)]
    lines += [" | ".join(str(row[name]) for name in names) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def main() -> None:
    """Measure and print."""
    folders = [Path(given) for given in sys.argv[1:] if not given.startswith("--")]
    data = folders[0] if folders else Path("../shared/data")
    if not data.is_dir():
        sys.exit(f"expected a folder of recorded sessions, got nothing: {data}")
    told = [*_calls(data), *_chats(data), *_sessions(data)]
    requests = _request_rows([one for one in told if isinstance(one, Request)])
    guesses = _guess_rows([one for one in told if isinstance(one, Guess)])
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"requests": requests, "calibration": guesses}, indent=2) + "\n")
    else:
        sys.stdout.write("Error in percent of what was reported; within: inside the bounds.\n\n" + _table(requests))
        sys.stdout.write("\nThe size that decisions take, without and with calibration.\n\n" + _table(guesses))


if __name__ == "__main__":
    main()
