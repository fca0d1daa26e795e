"""``retold bench pipeline``: how fast events go in and a full stream is folded, beside the server's own limits."""

from retold.cli import bench_publish, bench_stream
from retold.cli.bench import AskedOfLog
from retold.cli.bench_peers import PeerState
from retold.cli.bench_publish import Amounts, Appended
from retold.cli.bench_recorders import installed
from retold.cli.bench_report import Setting, load_note, report, show, together
from retold.cli.bench_store import folder, served
from retold.cli.bench_stream import Folded
from retold.cli.options import run


def run_pipeline(asked: AskedOfLog, amounts: Amounts, *, events: int) -> bool:
    """Run and show ``bench pipeline``; return whether all that was read is what was written."""
    appended = run(_appended(asked, amounts))
    folded = run(_folded(asked, events))
    shown = together([appended, folded])
    found = report(
        Setting(command="pipeline", encoding="o200k_base", rounds=asked.rounds, seed=asked.seed),
        shown,
        [installed("nats-py", "nats-py", call="publish_async, publish"), _RAW],
        texts=[],
        figures=[*bench_publish.figures(appended), *bench_stream.figures(folded)],
        notes=_notes(asked, appended, folded),
    )
    bars = [one for one in shown.timings if one.unit == "k events/s"]
    show(found, bars=bars, chart=asked.chart, as_json=asked.as_json)
    return found.ok


_RAW = PeerState(name="raw socket", call="prepared frames through a blocking socket")


async def _appended(asked: AskedOfLog, amounts: Amounts) -> Appended:
    with folder() as directory:
        async with served(directory, asked.profile) as url:
            return await bench_publish.append_race(url, amounts, rounds=asked.rounds, seed=asked.seed)


async def _folded(asked: AskedOfLog, events: int) -> Folded:
    with folder() as directory:
        async with served(directory, asked.profile) as url:
            return await bench_stream.fold_race(url, events=events, rounds=asked.rounds, seed=asked.seed)


def _notes(asked: AskedOfLog, appended: Appended, folded: Folded) -> list[str]:
    stream = f"{folded.events:,} events of {folded.sessions:,} sessions, {folded.tokens:,} tokens"
    return [
        f"Wall time, CPU time of this process where it says so; medians (quartiles) of {asked.rounds} rounds.",
        f"Embedded server, profile {asked.profile}, on the same cores.",
        f"Events appended are {appended.body_bytes} bytes as stored, their headers not counted.",
        f"The stream: {stream}, {folded.stream_bytes / 1e6:.0f} MB as it is read.",
        load_note(),
    ]
