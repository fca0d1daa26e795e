"""The demo's session: a long day of a coding agent, generated from a small seed of plausible material, always the same.

A service called "harbour" has a flaky upload queue. The user states rules, changes one of them, asks for more; the
agent reads files again and again, runs tests, greps logs and edits. All text was written for this project.
"""

import json
import random
from collections.abc import Iterator
from typing import Any

SEED = 20_260_101
TURNS = 120
"""With these, the session has about 380,000 tokens."""

RULES = (
    "You are an engineer on the harbour service. Never push to main. Keep every public function typed. Run the tests "
    "after each edit and say honestly when they fail."
)

MODULES = ("queue", "uploader", "retry", "checksum", "manifest", "ledger", "scheduler", "metrics", "api", "storage")
VERBS = ("drain", "enqueue", "resume", "verify", "split", "merge", "expire", "reserve", "commit", "rollback")
NOUNS = ("chunk", "lease", "cursor", "batch", "segment", "token", "offset", "window", "digest", "receipt")

REQUESTS = (
    "The upload of large archives stalls at about {n}%. Please find out why; start with src/harbour/{m}.py.",
    "Good. Now the retry in {m}.py must back off with jitter, never more than {n} attempts.",
    "Why is {v}_{x} called twice? Look at the log of the last night and fix it in {m}.py.",
    "Add a test for {v}_{x} with {n} items. It must not sleep.",
    "Rename {x} to {y} in {m}.py, but do not change the wire format.",
    "请检查 {m}.py 里的 {v}_{x}:超过 {n} 个分片时不要重复上传,必须保留原来的校验和。",
    "The on-call says port {p} answers slowly since the deploy. Compare {m}.py with what it was.",
)

CORRECTIONS = (
    "Stop: I said at most {n} attempts, not {k}. From now on the limit is {n}.",
    "No, keep the old name in the public API; only the internals change.",
    "Please always show me the diff before you run anything that writes.",
)

THOUGHTS = (
    "I decided to keep the lease in {m}.py because the cursor is not monotonic after a resume.",
    "The root cause is that {v}_{x} commits before the digest is known, so a crash leaves a half-written {y}.",
    "Next step: run the tests of {m} and check that the {x} count stays at {n}.",
    "I'll use the existing backoff instead of a new one; {n} ms at first, doubled up to {k} s.",
    "Measured: {n} MB/s before, {k} MB/s after, p99 {p} ms.",
)


def demo_session(turns: int = TURNS) -> Iterator[str]:
    """Yield the session as lines of JSON, one Chat Completions message a line; the same in every run."""
    chance = random.Random(SEED)  # noqa: S311 - made-up data, not a secret
    yield _line({"role": "system", "content": RULES})
    calls = 0
    for turn in range(turns):
        words = _words(chance)
        pattern = CORRECTIONS if turn % 9 == 8 else REQUESTS
        yield _line({"role": "user", "content": chance.choice(pattern).format(**words)})
        for _ in range(chance.randrange(2, 5)):
            batch = [_call(chance, words, calls + number) for number in range(chance.choice((1, 1, 1, 2)))]
            calls += len(batch)
            said = chance.choice(THOUGHTS).format(**_words(chance)) if chance.random() < 0.5 else None
            yield _line({"role": "assistant", "content": said, "tool_calls": batch})
            for call in batch:
                output = _output(chance, call["function"]["name"], words)
                yield _line({"role": "tool", "tool_call_id": call["id"], "content": output})
        yield _line({"role": "assistant", "content": _report(chance, words)})


def _line(message: dict[str, object]) -> str:
    return json.dumps(message, ensure_ascii=False)


def _words(chance: random.Random) -> dict[str, object]:
    return {
        "m": chance.choice(MODULES),
        "v": chance.choice(VERBS),
        "x": chance.choice(NOUNS),
        "y": chance.choice(NOUNS),
        "n": chance.randrange(3, 95),
        "k": chance.randrange(3, 95),
        "p": chance.randrange(1_024, 9_999),
    }


def _call(chance: random.Random, words: dict[str, object], number: int) -> dict[str, Any]:
    path = f"src/harbour/{words['m']}.py"
    name, arguments = chance.choice(
        (
            ("read_file", {"path": path}),
            ("read_file", {"path": path}),
            ("run_tests", {"target": f"tests/test_{words['m']}.py"}),
            ("grep", {"pattern": f"{words['v']}_{words['x']}", "path": "logs/harbour.log"}),
            ("edit_file", {"path": path, "patch": _source(chance, words, lines=24)}),
        )
    )
    return {
        "id": f"call_{number:05}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def _output(chance: random.Random, name: str, words: dict[str, object]) -> str:
    if name == "read_file":
        same = random.Random(f"{SEED}-{words['m']}")  # noqa: S311 - a file reads the same each time until it is edited
        return _source(same, {**_words(same), "m": words["m"]}, lines=90)
    if name == "run_tests":
        return _tests(chance, words)
    if name == "grep":
        return _log(chance, words)
    return f"edited src/harbour/{words['m']}.py: {chance.randrange(2, 30)} lines added, {chance.randrange(12)} removed"


def _source(chance: random.Random, words: dict[str, object], *, lines: int) -> str:
    out = [f'"""Harbour: {words["m"]}, the part that keeps each {words["x"]} with its {words["y"]}."""', ""]
    while len(out) < lines:
        w = _words(chance)
        out += [
            f"def {w['v']}_{w['x']}({w['y']}: bytes, *, limit: int = {w['n']}) -> int:",
            f'    """Return how many {w["x"]}s of {w["y"]} were taken, at most *limit*."""',
            f"    taken = {w['y']}.count(b'{w['k']}') % limit",
            f"    if taken > {w['k']}:",
            f"        raise {str(w['x']).title()}Error(f'expected at most {w['k']}, got {{taken}}')",
            f"    return {w['v']}(taken, port={w['p']})",
            "",
        ]
    return "\n".join(out)


def _tests(chance: random.Random, words: dict[str, object]) -> str:
    failed = chance.random() < 0.35
    out = [f"============ test session starts: tests/test_{words['m']}.py ============"]
    for _ in range(chance.randrange(15, 45)):
        w = _words(chance)
        out.append(f"tests/test_{words['m']}.py::test_{w['v']}_{w['x']}_{w['n']} PASSED [{w['k']:>3}%] {w['p']} us")
    if failed:
        w = _words(chance)
        out += [
            f"FAILED tests/test_{words['m']}.py::test_{w['v']}_{w['y']}",
            f"E   AssertionError: expected {w['n']} {w['x']}s, got {w['k']}",
            f"src/harbour/{words['m']}.py:{w['n']}: AssertionError",
        ]
    out.append(f"{len(out)} tests, {int(failed)} failed in {chance.randrange(1, 9)}.{chance.randrange(10, 99)}s")
    return "\n".join(out)


def _log(chance: random.Random, words: dict[str, object]) -> str:
    out = []
    for second in range(chance.randrange(20, 60)):
        w = _words(chance)
        level = "ERROR" if chance.random() < 0.08 else "INFO"
        told = f"{level} {w['m']}: {w['v']}_{words['x']} {w['x']}={w['n']:02x}{w['p']:04x} took {w['k']} ms"
        out.append(f"2026-01-07T03:{w['n']:02}:{second:02}.{w['p']}Z {told}")
    return "\n".join(out)


def _report(chance: random.Random, words: dict[str, object]) -> str:
    thoughts = [chance.choice(THOUGHTS).format(**_words(chance)) for _ in range(chance.randrange(1, 4))]
    return f"In src/harbour/{words['m']}.py: " + " ".join(thoughts)
