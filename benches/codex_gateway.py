"""What the real Codex CLI makes of each compaction, through a gateway and alone.

``python benches/codex_gateway.py CODEX``

CODEX is the binary (``npm install @openai/codex``). Runs offline, on loopback.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.gateway.codex import CASES, Outcome, play


def _row(outcome: Outcome, faults: list[str]) -> str:
    return f"{'goes on' if not faults else '; '.join(faults)} ({len(outcome.requests)} requests)"


async def _main(binary: str) -> None:
    print("| case | through the gateway | Codex alone |\n|---|---|---|")
    for case in CASES:
        cells = []
        for with_gateway in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                outcome = await play(case, Path(folder) / "codex", binary, with_gateway=with_gateway)
            cells.append(_row(outcome, outcome.faults(case)))
        print(f"| {case.title} | {' | '.join(cells)} |", flush=True)


asyncio.run(_main(sys.argv[1]))
