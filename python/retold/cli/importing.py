"""``retold import``: transcripts into sessions, every bad line named, the rest imported."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from retold.cli.compacting import PolicyName, policy_of
from retold.cli.options import Json, Options, print_json, print_table, run, window_of
from retold.client import Client, ImportReport, import_transcript, read_lines
from retold.errors import InputError
from retold.events import Policy, Window, session_key
from retold.formats.transcripts import Line, Problem
from retold.tokens import encoding as vocabulary


def import_files(  # noqa: PLR0913, PLR0917 - each is an argument or an option of the command
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Codex rollouts, Claude Code JSONL, or messages as JSON.")],
    session: Annotated[str | None, typer.Option(help="Name the session (for one file).")] = None,
    hard_limit: Annotated[int, typer.Option(help="What the model accepts, in tokens.")] = 200_000,
    pre_rot: Annotated[int, typer.Option(help="Where quality starts to suffer, in tokens; 0: chosen.")] = 0,
    encoding: Annotated[str | None, typer.Option(help="What counts new sessions; else by the model they name.")] = None,
    policy: PolicyName = "ladder",
    as_json: Json = False,
) -> None:
    """Import transcripts; each line that could not be imported is named, the rest is in, and the exit code is 1."""
    if session is not None and len(files) > 1:
        raise InputError(f"expected one file with --session, got {len(files)}")
    if session is not None:
        session_key(session, tenant=context.obj.tenant)
    if not any(path.exists() and not path.is_dir() for path in files):
        raise InputError(f"expected a file, got {'a directory' if files[0].is_dir() else 'nothing'}: {files[0]}")
    window = window_of(hard_limit=hard_limit, pre_rot=pre_rot)
    if encoding is not None:
        vocabulary(encoding)
    opening = _Opening(session=session, window=window, encoding=encoding, policy=policy_of(policy))
    reports = run(_import_all(context.obj, files, opening))
    rows = [_row(path, report) for path, report in reports]
    if as_json:
        print_json(rows)
    else:
        _print(reports)
    if not all(report.ok for _, report in reports):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """Hold how new sessions are opened."""

    session: str | None
    window: Window
    encoding: str | None
    policy: Policy


async def _import_all(options: Options, files: list[Path], opening: _Opening) -> list[tuple[Path, ImportReport]]:
    reports: list[tuple[Path, ImportReport]] = []
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with progress:
        async with options.client() as client:
            for path in files:
                lines = _counted(path, progress)
                found = await _import_one(client, path, lines, opening, tenant=options.tenant)
                reports.extend((path, report) for report in found)
    return reports


async def _import_one(
    client: Client, path: Path, lines: Iterator[Line], opening: _Opening, *, tenant: str
) -> list[ImportReport]:
    try:
        return await import_transcript(
            client,
            lines,
            name=path.name,
            session=opening.session,
            tenant=tenant,
            window=opening.window,
            encoding=opening.encoding,
            policy=opening.policy,
        )
    except InputError as error:
        problem = Problem(line=0, reason=str(error))
        return [ImportReport(session=None, kind="unknown", appended=0, present=0, problems=(problem,))]


def _counted(path: Path, progress: Progress) -> Iterator[Line]:
    task = progress.add_task(path.name, total=path.stat().st_size if path.is_file() else None)
    for line in read_lines(path):
        progress.advance(task, line.size_bytes + 1)
        yield line


def _row(path: Path, report: ImportReport) -> dict[str, object]:
    return {
        "file": str(path),
        "session": None if report.session is None else report.session.session,
        "tenant": None if report.session is None else report.session.tenant,
        "kind": report.kind,
        "appended": report.appended,
        "present": report.present,
        "ok": report.ok,
        "problems": [
            {"line": problem.line, "reason": problem.reason, "severity": problem.severity}
            for problem in report.problems
        ],
    }


def _print(reports: list[tuple[Path, ImportReport]]) -> None:
    table = Table("session", "kind", "appended", "present already", "errors", "notes", box=None)
    for path, report in reports:
        errors = [problem for problem in report.problems if problem.severity == "error"]
        notes = len(report.problems) - len(errors)
        name = "-" if report.session is None else report.session.session
        table.add_row(name, report.kind, str(report.appended), str(report.present), str(len(errors)), str(notes))
        for problem in errors:
            sys.stderr.write(f"{path}:{problem.line}: {problem.reason}\n")
    print_table(table)
