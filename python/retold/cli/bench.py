"""``retold bench``: figures of this machine, beside its peers in the same run, and beside what is asked for.

Exit code 1 says that a count differed. A figure that is missed is printed as missed and is no failure: machines differ.
What measures is loaded by the command that needs it.
"""

from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from retold.cli.options import Json
from retold.settings import Profile

Encoding = Annotated[str, typer.Option(help="The encoding.")]
Rounds = Annotated[int, typer.Option(help="How often each case is timed.", min=1)]
Seed = Annotated[int, typer.Option(help="Draws the texts and the order.")]
ServerProfile = Annotated[Profile, typer.Option(help="The embedded server's: safe, balanced or fast.")]
WINDOWS = (256, 1024)
Chart = Annotated[Path | None, typer.Option(help="Write a bar chart there, as SVG.")]
Peers = Annotated[list[str] | None, typer.Option("--peer", help="Only this peer; may be repeated.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="KIND=FILE: your own text; may be repeated.")]


class Asked(Struct, frozen=True, kw_only=True):
    """Hold the options that all benchmarks take.

    Attributes:
        peer: the peers that are asked for; none: all that are worth their time.
        text: own texts, each as ``KIND=FILE``.
    """

    encoding: str
    size: int
    rounds: int
    seed: int
    peer: list[str] | None
    text: list[str] | None
    chart: Path | None
    as_json: bool


def count(  # noqa: PLR0913, PLR0917 - the options of the command
    encoding: Encoding = "o200k_base",
    size: Annotated[int, typer.Option(help="Bytes of one slice of text.", min=100)] = 300_000,
    worst: Annotated[int, typer.Option(help="Bytes of the inputs that are hard.", min=100)] = 200_000,
    rounds: Rounds = 9,
    seed: Seed = 7,
    peer: Peers = None,
    text: Texts = None,
    wheel: Annotated[Path | None, typer.Option(help="The wheel to weigh; without, the newest of dist/.")] = None,
    chart: Chart = None,
    as_json: Json = False,
) -> None:
    """Count text, fresh and replayed, chat messages and hard inputs, beside the peers that are installed."""
    from retold.cli.bench_run import run_tokens  # noqa: PLC0415 - as above

    asked = Asked(
        encoding=encoding,
        size=size,
        rounds=rounds,
        seed=seed,
        peer=peer,
        text=text,
        chart=chart,
        as_json=as_json,
    )
    _end(ok=run_tokens(asked, worst_bytes=worst, wheel=wheel))


def append(  # noqa: PLR0913, PLR0917 - the options of the command
    encoding: Encoding = "o200k_base",
    size: Annotated[int, typer.Option(help="Bytes of the conversation.", min=100)] = 400_000,
    rounds: Rounds = 9,
    seed: Seed = 7,
    peer: Peers = None,
    text: Texts = None,
    chart: Chart = None,
    as_json: Json = False,
) -> None:
    """Append to a conversation and know its exact count each time, beside peers that count again."""
    from retold.cli.bench_run import run_append  # noqa: PLC0415 - as above

    asked = Asked(
        encoding=encoding,
        size=size,
        rounds=rounds,
        seed=seed,
        peer=peer,
        text=text,
        chart=chart,
        as_json=as_json,
    )
    _end(ok=run_append(asked))


class AskedOfLog(Struct, frozen=True, kw_only=True):
    """Hold the options that the benchmarks of the log take."""

    profile: Profile
    rounds: int
    seed: int
    chart: Path | None
    as_json: bool


def replay(  # noqa: PLR0913, PLR0917 - the options of the command
    messages: Annotated[int, typer.Option(help="Messages of the long session, 100 tokens each.", min=100)] = 10_000,
    longer: Annotated[int, typer.Option(help="Messages of a second one, to show growth; 0: none.", min=0)] = 0,
    reads: Annotated[int, typer.Option(help="Past states read warm in a round; a quarter as many cold.", min=1)] = 40,
    disk_messages: Annotated[int, typer.Option(help="Messages of the session on disk.", min=12)] = 1_300,
    disk_tokens: Annotated[int, typer.Option(help="Its tokens.", min=100)] = 650_000,
    profile: ServerProfile = "fast",
    rounds: Rounds = 9,
    seed: Seed = 7,
    chart: Chart = None,
    as_json: Json = False,
) -> None:
    """Read past states of long sessions, and weigh the store, beside tools that keep states or events."""
    from retold.cli.bench_replay import Sizes, run_replay  # noqa: PLC0415 - as above

    asked = AskedOfLog(profile=profile, rounds=rounds, seed=seed, chart=chart, as_json=as_json)
    sizes = Sizes(messages=messages, longer=longer, reads=reads, disk_messages=disk_messages, disk_tokens=disk_tokens)
    _end(ok=run_replay(asked, sizes))


def pipeline(  # noqa: PLR0913, PLR0917 - the options of the command
    appends: Annotated[int, typer.Option(help="Events that each appends in a round.", min=1)] = 10_240,
    singles: Annotated[int, typer.Option(help="Events that each appends one by one.", min=10)] = 500,
    text_bytes: Annotated[int, typer.Option(help="Text in an event; the rest of it is about 340.", min=1)] = 32,
    window: Annotated[
        list[int] | None, typer.Option(help="Events on the way at once; may be repeated; 256, 1024.", min=1)
    ] = None,
    events: Annotated[int, typer.Option(help="Events of the stream that is folded.", min=100)] = 200_000,
    profile: ServerProfile = "fast",
    rounds: Rounds = 7,
    seed: Seed = 7,
    chart: Chart = None,
    as_json: Json = False,
) -> None:
    """Append small events, and fold a full stream, beside nats-py and a bare socket."""
    from retold.cli.bench_pipeline import run_pipeline  # noqa: PLC0415 - as above
    from retold.cli.bench_publish import Amounts  # noqa: PLC0415 - as above

    asked = AskedOfLog(profile=profile, rounds=rounds, seed=seed, chart=chart, as_json=as_json)
    windows = tuple(window or WINDOWS)
    amounts = Amounts(appends=appends, singles=singles, text_bytes=text_bytes, windows=windows)
    _end(ok=run_pipeline(asked, amounts, events=events))


def worker(  # noqa: PLR0913, PLR0917 - the options of the command
    part: Annotated[
        list[str] | None, typer.Option(help="folded, published, live, grown; may be repeated; else these. Also: soak.")
    ] = None,
    sessions: Annotated[int, typer.Option(help="Sessions that are folded at once.", min=1)] = 1_000,
    events: Annotated[int, typer.Option(help="Messages to each of them in a round.", min=1)] = 40,
    rate: Annotated[int, typer.Option(help="Messages a second, where they come steadily.", min=10)] = 1_000,
    seconds: Annotated[int, typer.Option(help="How long they come.", min=1)] = 30,
    live: Annotated[int, typer.Option(help="Sessions of 100,000 tokens in memory.", min=1)] = 2_000,
    grown: Annotated[int, typer.Option(help="Messages of the session that grows.", min=2_000)] = 100_000,
    profile: ServerProfile = "fast",
    rounds: Rounds = 5,
    as_json: Json = False,
) -> None:
    """Measure one worker beside a fleet: events folded, histories published, memory, and the cost as sessions grow."""
    from retold.cli.bench_worker import Amounts as AmountsOfWorker  # noqa: PLC0415 - as above
    from retold.cli.bench_worker import run_worker_bench  # noqa: PLC0415 - as above

    asked = AskedOfLog(profile=profile, rounds=rounds, seed=0, chart=None, as_json=as_json)
    amounts = AmountsOfWorker(sessions=sessions, events=events, rate=rate, seconds=seconds, live=live, grown=grown)
    _end(ok=run_worker_bench(asked, amounts, parts=part or []))


def fidelity(
    part: Annotated[
        list[str] | None, typer.Option(help="planted, evidence, arguments, identifiers; may be repeated; else all.")
    ] = None,
    strategy: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    sessions: Annotated[int, typer.Option(help="Sessions with planted facts, for each language.", min=1)] = 2,
    seed: Seed = 7,
    data: Annotated[Path, typer.Option(help="Where the shared data is.")] = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """Measure what is still there after compaction, beside keeping the tail, and what the user said first."""
    from retold.cli.bench_fidelity import Asked as AskedOfFidelity  # noqa: PLC0415 - as above
    from retold.cli.bench_fidelity import run_fidelity  # noqa: PLC0415 - as above

    asked = AskedOfFidelity(
        parts=part or [],
        strategies=strategy or [],
        sessions=sessions,
        seed=seed,
        data=data,
        as_json=as_json,
    )
    run_fidelity(asked)


def savings(
    turns: Annotated[int, typer.Option(help="Turns of the made session, about 3,500 tokens each.", min=1)] = 200,
    data: Annotated[Path, typer.Option(help="Where the recorded sessions are.")] = Path("../shared/data"),
    as_json: Json = False,
) -> None:
    """Add up what each preset sends, request by request, and how much of it a prompt cache keeps, beside peers."""
    from retold.cli.bench_savings import Asked as AskedOfSavings  # noqa: PLC0415 - as above
    from retold.cli.bench_savings import run_savings  # noqa: PLC0415 - as above

    run_savings(AskedOfSavings(data=data, turns=turns, as_json=as_json))


def _end(*, ok: bool) -> None:
    if not ok:
        raise typer.Exit(1)
