"""How far are counts of Claude's reconstructions from what the provider billed? Beside o200k_base, as it is and scaled.

    .venv/bin/python benches/claude_error.py ../shared/data

From one request of a recorded Claude Code session to the next, the input grows by the answer and by what was added, so
`usage` says what these cost. Steps are left out where something was sent that is not in the record: thinking, images,
a compaction, reminders of unknown wording. What is left is text and a frame around each call. The frame is not ours to
know: it is taken as the median of the other steps with as many calls and arguments, of which there must be two. For the
scaled o200k_base, every count is multiplied by the ratio that fits the other steps best.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retold import tokens
from retold.formats.models import encoding_of

SENT = {"total_tokens_reminder"}
"""Attachments that are sent as they are recorded."""
UNSENT = {"hook_success"}
"""Attachments that are shown to the user only."""
OTHERS_MIN = 2
INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


@dataclass
class Step:
    """Hold an answer and what came after it, up to the next request."""

    model: str
    input_tokens: int
    message_id: str
    texts: list[str]
    calls: int = 0
    arguments: int = 0
    says: bool = False
    is_known: bool = True

    @property
    def shape(self) -> tuple[str | None, int, int, bool]:
        """Return what the frame depends on."""
        return encoding_of(self.model), self.calls, self.arguments, self.says


def main() -> None:
    """Print the errors, family by family."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a folder with recorded Claude Code sessions")
    files = sorted(parser.parse_args().data.glob("claude-code*/**/*.jsonl"))
    grown = [pair for file in files for pair in steps(file)]
    for name in tokens.RECONSTRUCTIONS:
        chosen = [(step, growth) for step, growth in grown if encoding_of(step.model) == name]
        if chosen:
            print(f"{name}: {len(chosen)} steps, {sum(growth for _, growth in chosen):,} tokens")
            report(name, chosen, scaled=False)
            report("o200k_base", chosen, scaled=False)
            report("o200k_base", chosen, scaled=True)


def report(name: str, grown: list[tuple[Step, int]], *, scaled: bool) -> None:
    """Print how far the counts of *name* are from the growth of the input."""
    encoding = tokens.encoding(name)
    counts = [sum(encoding.count_batch(step.texts)) for step, _ in grown]
    errors: list[float] = []
    near = 0
    for at, (step, growth) in enumerate(grown):
        others = [other for other in range(len(grown)) if other != at and grown[other][0].shape == step.shape]
        if len(others) < OTHERS_MIN:
            continue
        rest = [other for other in range(len(grown)) if other != at]
        scale = sum(grown[other][1] for other in rest) / sum(counts[other] for other in rest) if scaled else 1
        frame = statistics.median(grown[other][1] - scale * counts[other] for other in others)
        missed = scale * counts[at] + frame - growth
        near += abs(missed) <= 1
        errors.append(abs(missed) / growth * 100)
    errors.sort()
    print(
        f"  {name + (' scaled' if scaled else ''):18} n {len(errors):3}  median {statistics.median(errors):6.2f}%  "
        f"p90 {errors[int(len(errors) * 0.9)]:6.2f}%  worst {errors[-1]:6.2f}%  within a token: {near:2}  "
        f"growth / counts: {sum(growth for _, growth in grown) / sum(counts):.2f}"
    )


def steps(file: Path) -> Iterator[tuple[Step, int]]:
    """Yield each step of which everything that was sent is known, and by how much the input grew."""
    last: Step | None = None
    is_subagent = "subagents" in file.parts
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.get("isSidechain") and not is_subagent:
            continue
        message = record.get("message") or {}
        if record.get("type") == "assistant" and message.get("usage"):
            if last is None or message["id"] != last.message_id:
                now = Step(message["model"], sum(message["usage"].get(key) or 0 for key in INPUT), message["id"], [])
                if last is not None and last.is_known and last.model == now.model:
                    yield last, now.input_tokens - last.input_tokens
                last = now
            answer(last, message["content"])
        elif last is not None:
            follow(last, record)


def answer(step: Step, blocks: list[dict[str, Any]]) -> None:
    """Add what the model said: its text, and of each call the name, the arguments' names and their values."""
    for block in blocks:
        if block["type"] == "tool_use":
            step.calls += 1
            step.arguments += len(block["input"])
            step.texts.append(block["name"])
            for key, value in block["input"].items():
                step.texts += [key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
        else:
            step.says = True
            step.is_known &= block["type"] == "text"
            step.texts.append(block.get("text", ""))


def follow(step: Step, record: dict[str, Any]) -> None:
    """Add what was sent after the answer."""
    kind = record.get("type")
    if kind == "user":
        step.is_known &= not record.get("isCompactSummary")
        step.texts += read(step, (record.get("message") or {}).get("content"))
    elif kind == "system":
        step.is_known &= "compact" not in str(record.get("subtype"))
    elif kind == "attachment":
        held = record["attachment"]
        step.is_known &= held["type"] in SENT | UNSENT
        step.texts += [held["text"]] if held["type"] in SENT else []


def read(step: Step, content: Any) -> list[str]:
    """Return the texts of a message or a result; a part that is no text makes the step unknown."""
    if content is None or isinstance(content, str):
        return [content or ""]
    texts: list[str] = []
    for part in content:
        if part["type"] == "tool_result":
            texts += read(step, part.get("content"))
        else:
            step.is_known &= part["type"] == "text"
            texts.append(part.get("text", ""))
    return texts


if __name__ == "__main__":
    main()
