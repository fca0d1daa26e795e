"""What is harmless stays as it was: recorded sessions of real agents, and what developers write."""

from collections import Counter
from pathlib import Path

import pytest

from retold.events import Item, ItemAppended, Message, Reasoning, ToolCall, ToolResult, plain_text
from retold.formats import Happened, read_transcript, split_lines
from retold.screening import Guard, sound
from retold.security.marks import neutral
from retold.security.rules import ORDERS
from retold.security.secrets import redact
from retold.summarizers.prompt import INSTRUCTIONS

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FALSE_PER_MILLE_MAX = 1

HARMLESS = [
    "error: rule no-unused-vars is ignored in src/pay.ts",
    "You are now on branch main.",
    "System: Linux 6.1, Python 3.11",
    "Add the file to .gitignore and commit it.",
    "The user table has 4,711 rows; user approved_at is null.",
    "Remember to close the file handle.",
    "Print the previous value before it is overwritten.",
    "git push --force is not allowed on main.",
    "Send the request to https://api.example.com/v1/orders with a JSON body.",
    "The policy file was deleted in commit 3f2a9c1.",
    "用户表已更新。",
    "请运行测试并检查输出。",
    "先前的规则文件已移动到 config 目录。",
]
KEPT = [
    "order 8842-1193-XYZ was paid",
    "commit 3f2a9c17be0dd0a4c7d1e5a9f8b2c3d4e5f60718",
    "id: 9b2d7a0e-41c3-4f6e-8f21-0a9c7e5d3b11",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "token = get_token(request)",
    "password: str | None = None",
    "max_tokens: 4096",
    "secret_name: payments/production/database",
]
SECRETS = {
    "aws key": "AKIA" + "Q3EGRIUZ7LWNPXK2",
    "github token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "api key": "sk-proj-" + "Zx9Kq2Lm8Wv4Rt6Yp1Bn3Hd5",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "password": "postgres://pay:" + "s3cr3tPassw0rd@db.internal/pay",
    "secret": 'DB_PASSWORD="' + 'kT9x2mQ7vR4z8LpW"',
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
}


def items() -> list[Item]:
    """Return every item of the shared data that can be read as a transcript, each text once."""
    found: dict[str, Item] = {}
    for path in sorted(_DATA.rglob("*")):
        if path.is_file() and path.suffix in (".jsonl", ".json", ".traj"):
            body = path.read_bytes()
            chunks = (body[at : at + (1 << 16)] for at in range(0, len(body), 1 << 16))
            for one in read_transcript(split_lines(chunks), name=path.name):
                if isinstance(one, Happened) and isinstance(one.fact, ItemAppended):
                    found.setdefault(said(one.fact.item), one.fact.item)
    return list(found.values())


def said(item: Item) -> str:
    """Return what *item* says."""
    match item:
        case Message(content=content) | ToolResult(content=content):
            return sound(plain_text(content))
        case ToolCall(arguments=text) | Reasoning(text=text):
            return sound(text)
        case _:
            return ""


@pytest.mark.slow
@pytest.mark.skipif(not _DATA.is_dir(), reason="../shared/data is not at hand: real transcripts are not shipped")
def test_real_sessions_are_left_as_they_are() -> None:
    """Of what agents and tools said in recorded sessions, one item in a thousand at most is found fault with."""
    guard = Guard(ORDERS, [INSTRUCTIONS])
    counts: Counter[str] = Counter()
    for item in items():
        text = said(item)
        counts["items"] += 1
        counts["leaks"] += bool(guard.leaks(text, []))
        counts["secrets"] += bool(redact(text)[1])
        is_trusted = isinstance(item, Message) and item.role != "assistant"
        counts["orders"] += not is_trusted and bool(guard.orders(text))
    print(f"\n{dict(counts)}")  # noqa: T201 - figures, shown with -s
    assert counts["items"] > 1_000
    wrong = counts["leaks"] + counts["secrets"] + counts["orders"]
    assert wrong * 1000 <= counts["items"] * FALSE_PER_MILLE_MAX, dict(counts)


@pytest.mark.parametrize("line", HARMLESS)
def test_what_developers_write_is_no_order(line: str) -> None:
    """An ordinary line of a log, a page or a plan meets no rule, and is not changed."""
    assert Guard(ORDERS, []).orders(line) == []
    assert neutral(line) == line


@pytest.mark.parametrize("line", KEPT)
def test_identifiers_are_no_secrets(line: str) -> None:
    """Orders, commits, hashes and names of variables stay: the agent needs them."""
    assert redact(line) == (line, ())


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_left_out(kind: str) -> None:
    """A key, a token or a password is replaced by what it was, and what stands around it stays."""
    text, kinds = redact(f"use {SECRETS[kind]} here")
    assert kinds == (kind,)
    assert text.startswith("use ")
    assert text.endswith(" here")
    assert f"[redacted: {kind}]" in text
    assert redact(text) == (text, ())
