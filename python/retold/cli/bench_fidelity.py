"""``retold bench fidelity``: what is still there after compaction, without a model, a network, or chance.

Four parts: planted facts over five rounds (`bench_planted`), evidence of BEAM (`bench_evidence`), arguments of
tau-bench (`bench_arguments`), and identifiers at recorded compactions (`bench_compactions`). The last three need the
shared data, and are left out, which is said, where it is not there. The same input gives the same figures.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct
from rich.table import Table

from retold.cli import bench_arguments, bench_compactions, bench_evidence, bench_planted
from retold.cli.bench_arguments import HALVES, Arguments
from retold.cli.bench_compactions import Identifiers
from retold.cli.bench_evidence import BUDGETS, Evidence
from retold.cli.bench_figures import Figure, verdict
from retold.cli.bench_planted import SETS, SHARES, Survival
from retold.cli.bench_strategies import USER_FIRST, strategies
from retold.cli.options import console, print_json, print_table
from retold.errors import InputError

PARTS: Final = ("planted", "evidence", "arguments", "identifiers")
OURS: Final = "ladder"
_COLOURS: Final = {"aim met": "green", "required met": "green", "missed": "red", "not measured": "yellow"}

_Measured = TypeVar("_Measured", Survival, Evidence, Arguments)


class Asked(Struct, frozen=True, kw_only=True):
    """Hold the options of the command; no part and no strategy named: all of them."""

    parts: Sequence[str]
    strategies: Sequence[str]
    sessions: int
    seed: int
    data: Path
    as_json: bool


class Report(Struct, frozen=True, kw_only=True):
    """Hold everything that was measured; a part that was not is empty."""

    sessions: int
    seed: int
    planted: list[Survival]
    evidence: list[Evidence]
    arguments: list[Arguments]
    identifiers: list[Identifiers]
    figures: list[Figure]
    notes: list[str]


def run_fidelity(asked: Asked) -> None:
    """Run and show ``bench fidelity``.

    Raises:
        InputError: if there is no such part or strategy, or a file of the data cannot be read.
    """
    for name in asked.parts:
        if name not in PARTS:
            raise InputError(f"expected --part to be one of {', '.join(PARTS)}, got {name!r}")
    named = strategies(asked.strategies)
    if missing := set(asked.strategies) - set(named):
        raise InputError(f"expected --strategy to be one of {', '.join(strategies())}, got {min(missing)!r}")
    parts = asked.parts or PARTS
    report = _report(
        asked,
        planted=bench_planted.measure(named, sessions=asked.sessions, seed=asked.seed) if "planted" in parts else [],
        evidence=bench_evidence.measure(named, asked.data) if "evidence" in parts else [],
        arguments=bench_arguments.measure(named, asked.data) if "arguments" in parts else [],
        identifiers=bench_compactions.measure(named, asked.data) if "identifiers" in parts else [],
    )
    if asked.as_json:
        print_json(report)
    else:
        _show(report)


def _report(
    asked: Asked,
    *,
    planted: list[Survival],
    evidence: list[Evidence],
    arguments: list[Arguments],
    identifiers: list[Identifiers],
) -> Report:
    notes = [] if asked.data.is_dir() else [f"{asked.data} is not there: only planted facts were measured."]
    return Report(
        sessions=asked.sessions,
        seed=asked.seed,
        planted=planted,
        evidence=evidence,
        arguments=arguments,
        identifiers=identifiers,
        figures=[*_planted_figures(planted), *_evidence_figures(evidence), *_argument_figures(arguments)],
        notes=notes,
    )


def _planted_figures(found: Sequence[Survival]) -> list[Figure]:
    ours = [one for one in found if one.strategy == OURS]
    figures = [
        _figure(f"planted facts that survive at {share:.0%}, {phrases}", _survived(ours, phrases, share), least)
        for phrases in SETS
        for share, least in ((0.2, 0.9), (0.3, 1.0))
    ]
    for phrases in SETS:
        stale = [one.stale for one in ours if one.phrases == phrases]
        met = (sum(stale) == 0,) * 2
        figures.append(
            Figure(
                name=f"stale values left, {phrases}",
                required="0",
                aim="0",
                measured=float(sum(stale)) if stale else None,
                unit="",
                verdict=verdict(met) if stale else "not measured",
            )
        )
    return figures


def _evidence_figures(found: Sequence[Evidence]) -> list[Figure]:
    ours = {one.budget_tokens: one.literals for one in found if one.strategy == OURS}
    beside = {one.budget_tokens: one.literals for one in found if one.strategy == USER_FIRST}
    return [
        _figure(
            f"BEAM: literals of the evidence at {budget // 1000}k",
            ours.get(budget),
            least,
            beside=f"{USER_FIRST} {beside[budget]:.2f}" if budget in beside else "",
        )
        for budget, least in zip(BUDGETS, (0.62, 0.82), strict=True)
    ]


def _argument_figures(found: Sequence[Arguments]) -> list[Figure]:
    ours = next((one for one in found if one.strategy == OURS and one.half == HALVES[1]), None)
    shown = None if ours is None else ours.shown / max(1, ours.needed)
    reached = None if ours is None else (ours.shown + ours.recalled) / max(1, ours.needed)
    return [
        _figure("tau-bench: arguments in the history at half", shown, 0.85),
        _figure("tau-bench: arguments in the history or one recall away", reached, 1.0),
    ]


def _figure(name: str, measured: float | None, least: float, *, beside: str = "") -> Figure:
    met = measured is not None and measured >= least
    return Figure(
        name=name,
        required=f"≥ {least:.2f}",
        aim="",
        measured=measured,
        unit="",
        verdict="not measured" if measured is None else verdict((met, met)),
        beside=beside,
    )


def _survived(found: Iterable[Survival], phrases: str, share: float) -> float | None:
    those = [one for one in found if one.phrases == phrases and one.share == share]
    planted = sum(one.planted for one in those)
    return sum(one.survived for one in those) / planted if planted else None


def _show(report: Report) -> None:
    out = console()
    if report.planted:
        out.print(f"planted facts that survive five rounds; {report.sessions} sessions a language, seed {report.seed}")
        print_table(_planted_table(report.planted))
    if report.evidence:
        out.print("\nBEAM: literals of the evidence, and runs of its words, in the history")
        print_table(_evidence_table(report.evidence))
    if report.arguments:
        out.print("\ntau-bench: arguments that later calls need, at every cut, at half the tokens")
        print_table(_arguments_table(report.arguments))
    if report.identifiers:
        out.print("\nidentifiers used after recorded compactions of Codex and Claude Code")
        print_table(_identifiers_table(report.identifiers))
    table = Table("\nfigure", "\nrequired", "\nmeasured", "", box=None, pad_edge=False)
    for figure in report.figures:
        measured = "" if figure.measured is None else f"{figure.measured:.3g}"
        detail = f" ({figure.beside})" if figure.beside else ""
        row = (figure.name, figure.required, measured + detail, figure.verdict)
        table.add_row(*row, style=_COLOURS[figure.verdict])
    print_table(table)
    for note in report.notes:
        out.print(note)


def _planted_table(found: Sequence[Survival]) -> Table:
    columns = [(phrases, share) for phrases in SETS for share in SHARES]
    table = Table("", *(f"{phrases} {share:.0%}" for phrases, share in columns), "stale", box=None, pad_edge=False)
    for name, those in _by_strategy(found):
        cells = [_survived(those, phrases, share) for phrases, share in columns]
        stale = " / ".join(str(sum(one.stale for one in those if one.phrases == phrases)) for phrases in SETS)
        table.add_row(name, *("" if cell is None else f"{cell:.2f}" for cell in cells), stale)
    return table


def _evidence_table(found: Sequence[Evidence]) -> Table:
    table = Table("", *(f"{budget // 1000}k" for budget in BUDGETS), box=None, pad_edge=False)
    for name, those in _by_strategy(found):
        table.add_row(name, *(f"{one.literals:.2f}, {one.runs:.2f}" for one in those))
    return table


def _arguments_table(found: Sequence[Arguments]) -> Table:
    table = Table("", *(f"half of {half}" if half == HALVES[0] else f"half, {half}" for half in HALVES), box=None)
    for name, those in _by_strategy(found):
        cells = [
            f"{one.shown / max(1, one.needed):.2f}, {(one.shown + one.recalled) / max(1, one.needed):.3f} with a recall"
            f" ({one.refused} of {one.cuts} cuts refused)"
            for one in those
        ]
        table.add_row(name, *cells)
    return table


def _identifiers_table(found: Sequence[Identifiers]) -> Table:
    table = Table("", "budget", "kept", "tokens", box=None, pad_edge=False)
    for one in found:
        budget = f"{one.share:.0%}" if one.share else "its own"
        kept = f"{one.shown} of {one.needed}, {one.shown / max(1, one.needed):.2f}"
        table.add_row(one.strategy, budget, kept, f"{one.tokens:,}")
    return table


def _by_strategy(found: Sequence[_Measured]) -> list[tuple[str, list[_Measured]]]:
    names = list(dict.fromkeys(one.strategy for one in found))
    return [(name, [one for one in found if one.strategy == name]) for name in names]
