"""The real Codex CLI, run offline on loopback against a scripted upstream, with a gateway between or without."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct
from tests.gateway.running import gateway
from tests.gateway.upstream import scripted
from tests.loopback import Request

TURN_S = 90
CONFIG = """\
model = "mock-model"
model_provider = "mock"
model_context_window = 20000
model_auto_compact_token_limit = 10000
[model_providers.mock]
name = "{name}"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "MOCK_KEY"
request_max_retries = 1
stream_max_retries = 1
"""
REMOTE, LOCAL = "OpenAI", "Mock"


class Case(Struct, frozen=True):
    """Hold one case: how Codex compacts, what the upstream does, and what the user says, a turn each."""

    title: str
    provider: str
    script: tuple[str, ...]
    prompts: tuple[str, ...] = ("Mend build 4711.",)
    compactions: int = 1


CASES = (
    Case("local, mid-turn", LOCAL, ("tool", "ok", "ok")),
    Case("local, pre-turn", LOCAL, ("high", "ok", "ok"), ("Mend build 4711.", "Now the flags.")),
    Case("local, resumed after it", LOCAL, ("tool", "ok", "ok", "ok"), ("Mend build 4711.", "Now the flags.")),
    Case("local, a second one", LOCAL, ("tool", "ok", "tool", "ok", "ok"), compactions=2),
    Case("local, upstream 500", LOCAL, ("tool", "500", "ok")),
    Case("local, upstream 500, a second one", LOCAL, ("tool", "500", "tool", "500", "ok"), compactions=2),
    Case("local, overflow", LOCAL, ("tool", "overflow", "ok")),
    Case("local, empty summary", LOCAL, ("tool", "empty", "ok")),
    Case("remote v2, mid-turn", REMOTE, ("tool", "ok")),
    Case("remote v2, pre-turn", REMOTE, ("high", "ok"), ("Mend build 4711.", "Now the flags.")),
    Case("remote v2, resumed after it", REMOTE, ("tool", "ok", "ok"), ("Mend build 4711.", "Now the flags.")),
    Case("remote v2, a second one", REMOTE, ("tool", "tool", "ok"), compactions=2),
    Case("remote v2, upstream 500 in the turn after it", REMOTE, ("tool", "500", "ok")),
)


class Outcome(Struct):
    """Hold what came of a case.

    Attributes:
        codes: how each turn's process ended.
        told: what the last one said.
        requests: what the upstream was sent.
    """

    codes: list[int | None]
    told: str
    requests: list[Request]

    @property
    def last_input(self) -> list[dict[str, Any]]:
        """Return the items of the last request that has tools: of a turn, not of a compaction."""
        turns = [request.body for request in self.requests if request.body.get("tools")]
        return turns[-1]["input"] if turns else []

    def faults(self, case: Case) -> list[str]:
        """Return what is wrong with the session after *case*, in a few words each."""
        found = [f"turn {at + 1} ended with {code}" for at, code in enumerate(self.codes) if code != 0]
        if '"turn.completed"' not in self.told:
            found.append("the last turn was not completed")
        texts = [part.get("text", "") for item in self.last_input for part in item.get("content") or []]
        found += [f"{prompt!r} is gone" for prompt in case.prompts if prompt not in texts]
        calls = {item["call_id"] for item in self.last_input if item["type"] == "function_call"}
        results = {item["call_id"] for item in self.last_input if item["type"] == "function_call_output"}
        if calls ^ results:
            found.append("a call without its result")
        if not any(_says_something(text) for text in texts):
            found.append("no summary")
        return found


def _says_something(text: str) -> bool:
    """Return whether *text* is a summary with more in it than its opening words."""
    if text.startswith("<retold-summary"):
        return True
    opening, _, rest = text.partition("\n")
    return opening.startswith("Another language model started") and bool(rest.strip())


async def play(case: Case, home: Path, binary: str, *, with_gateway: bool) -> Outcome:
    """Run *case* with *home* as Codex's own directory, through a gateway or directly."""
    (home / "work").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        if with_gateway:
            url, upstream = await stack.enter_async_context(gateway(*case.script))
        else:
            upstream = await stack.enter_async_context(scripted(*case.script))
            url = upstream.url
        (home / "config.toml").write_text(CONFIG.format(name=case.provider, url=url), encoding="utf-8")
        codes, told = [], ""
        for at, prompt in enumerate(case.prompts):
            again = ("resume", "--last") if at else ()
            code, told = await _turn(binary, (*again, prompt), home)
            codes.append(code)
        return Outcome(codes=codes, told=told, requests=upstream.requests)


async def _turn(binary: str, words: Sequence[str], home: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        binary,
        *("exec", "--skip-git-repo-check", "--json", *words),
        cwd=home / "work",
        env={**os.environ, "CODEX_HOME": str(home), "MOCK_KEY": "sk-mock"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TURN_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, ""
    return process.returncode, out.decode()
