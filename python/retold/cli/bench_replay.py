"""``retold bench replay``: any past state in milliseconds, and what it takes on disk, beside others' ways."""

from retold.cli import bench_history, bench_rebuild
from retold.cli.bench import AskedOfLog
from retold.cli.bench_history import Histories
from retold.cli.bench_rebuild import Rebuilt
from retold.cli.bench_report import Setting, load_note, report, show, together
from retold.cli.bench_session import make_conversation
from retold.cli.options import run

TOKENS_PER_MESSAGE = 100
"""Of the long session: a million tokens in 10,000 messages."""


def run_replay(asked: AskedOfLog, *, messages: int, longer: int, session_tokens: int, session_messages: int) -> bool:
    """Run and show ``bench replay``; return whether all answers were equal."""
    conversation = make_conversation(messages=session_messages, budget_tokens=session_tokens, seed=asked.seed)
    found = run(_histories(asked, messages))
    grown = run(_histories(asked, longer)) if longer else None
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


async def _histories(asked: AskedOfLog, messages: int) -> Histories:
    return await bench_history.read_histories(
        messages=messages,
        budget_tokens=messages * TOKENS_PER_MESSAGE,
        profile=asked.profile,
        rounds=asked.rounds,
        seed=asked.seed,
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
