"""``retold bench replay``: any past state in milliseconds, and what it takes on disk, beside others' ways."""

from msgspec import Struct

from retold.cli import bench_history, bench_rebuild
from retold.cli.bench import AskedOfLog
from retold.cli.bench_history import Histories
from retold.cli.bench_rebuild import Rebuilt
from retold.cli.bench_report import Setting, load_note, report, show, together
from retold.cli.bench_session import make_conversation
from retold.cli.options import run


class Sizes(Struct, frozen=True, kw_only=True):
    """Hold how large everything is.

    Attributes:
        messages: of the session whose past states are read.
        longer: messages of a second one; 0: there is none.
        reads: past states that are read warm in each round.
        disk_messages: of the session that is weighed and rebuilt.
    """

    messages: int
    longer: int
    reads: int
    disk_messages: int
    disk_tokens: int


def run_replay(asked: AskedOfLog, sizes: Sizes) -> bool:
    """Run and show ``bench replay``; return whether all answers were equal."""
    conversation = make_conversation(messages=sizes.disk_messages, budget_tokens=sizes.disk_tokens, seed=asked.seed)
    found = run(_histories(asked, sizes.messages, sizes.reads))
    grown = run(_histories(asked, sizes.longer, sizes.reads)) if sizes.longer else None
    rebuilt = run(bench_rebuild.rebuild(conversation, profile=asked.profile, rounds=asked.rounds, seed=asked.seed))
    shown = together([found, *([grown] if grown else []), rebuilt])
    result = report(
        Setting(command="replay", encoding="o200k_base", rounds=asked.rounds, seed=asked.seed),
        shown,
        rebuilt.peers,
        texts=conversation.sources,
        figures=[*bench_history.figures(found, grown), *bench_rebuild.figures(rebuilt)],
        notes=_notes(asked, found, grown, rebuilt),
    )
    show(result, bars=[one for one in shown.timings if one.unit == "ms"], chart=asked.chart, as_json=asked.as_json)
    return result.ok


async def _histories(asked: AskedOfLog, messages: int, reads: int) -> Histories:
    return await bench_history.read_histories(
        messages=messages, profile=asked.profile, rounds=asked.rounds, reads=reads, seed=asked.seed
    )


def _notes(asked: AskedOfLog, found: Histories, grown: Histories | None, rebuilt: Rebuilt) -> list[str]:
    said = [f"Wall time; medians (quartiles) of {asked.rounds} rounds. Embedded server, profile {asked.profile}."]
    said += [
        f"{part.messages:,} messages: {part.said_tokens:,} tokens, {part.kept.compactions} compactions, "
        f"{part.kept.events:,} events."
        for part in (found, grown)
        if part is not None
    ]
    said.append(
        f"On disk and rebuilt: {len(rebuilt.kept.turn_seqs)} turns, {rebuilt.said_tokens:,} tokens, "
        f"{rebuilt.raw_bytes / 1e6:.2f} MB of messages, {rebuilt.kept.compactions} compactions; the server had ended."
    )
    return [*said, load_note()]
