"""However a command ends, it ends with one line at most, and with the exit code that a shell expects."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import TypeAlias

import pytest
from rich.console import Console
from rich.table import Table

from retold import cli
from retold.cli import options

Retold: TypeAlias = Callable[..., CompletedProcess[str]]


def run_with(
    store: Path, words: Sequence[str], variables: Mapping[str, str] | None = None, *, stdout: int = subprocess.PIPE
) -> tuple[int, str]:
    """Run ``retold`` with *words* and environment *variables*; return its exit code and what it said on stderr."""
    environment = {**os.environ, "RETOLD_DATA_DIR": str(store), **(variables or {})}
    command = [sys.executable, "-m", "retold.cli", *words]
    done = subprocess.run(
        command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=50, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "variables", "expected"),
    [
        (("sessions",), {"RETOLD_PROFILE": "bogus"}, "RETOLD_PROFILE"),
        (("up",), {"RETOLD_URL": "nats://127.0.0.1:1"}, "RETOLD_URL"),
        (("--url", "http://127.0.0.1:4222", "sessions"), {}, "nats://host:port"),
        (("--url", "nats://127.0.0.1:nan", "sessions"), {}, "nats://host:port"),
        (("--url", "nats://", "sessions"), {}, "without a host"),
        (("import", __file__, "--hard-limit", "0"), {}, "--hard-limit"),
        (("import", __file__, "--pre-rot", "-1"), {}, "--pre-rot"),
        (("import", __file__, "--session", "a b"), {}, "a b"),
        (("import", "/nonexistent", "/"), {}, "/nonexistent"),
        (("demo", "--hard-limit", "0"), {}, "--hard-limit"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], expected: str
) -> None:
    """A wrong option, variable or URL is named in one line with exit code 2, before a server is started."""
    code, said = run_with(tmp_path / "store", words, variables)
    assert code == 2, said
    assert expected in said
    assert said.count("\n") == 1
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("sessions",), ("sessions", "--json")])
def test_a_reader_that_has_gone_ends_the_command_quietly(tmp_path: Path, words: tuple[str, ...]) -> None:
    """When whoever reads my output stops, the command ends as other tools do, and not as if a check had failed."""
    reading, writing = os.pipe()
    os.close(reading)
    code, said = run_with(tmp_path, words, stdout=writing)
    os.close(writing)
    assert (code, said) == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize("words", [("sessions",), ("sessions", "--json")])
def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    """When the disk that takes my output is full, I am told so in one line."""
    with Path("/dev/full").open("wb") as full:
        code, said = run_with(tmp_path, words, stdout=full.fileno())
    assert code == 3
    assert said.count("\n") == 1
    assert "No space left" in said


def test_ctrl_c_ends_a_command_quietly_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the program is still being loaded ends it with 130 and no traceback."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "retold.cli.app", SimpleNamespace(main=interrupted))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130


def test_a_narrow_terminal_cuts_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 20 columns a table keeps every figure and every heading whole."""
    written = StringIO()
    monkeypatch.setattr(options, "console", lambda: Console(file=written, width=20, soft_wrap=True))
    table = Table("seq", "version", "before", "after", "offloaded", box=None)
    table.add_row("1,234", "56", "7,890,123", "4,567,890", "12")
    options.print_table(table)
    head, row = written.getvalue().splitlines()
    assert head.split() == ["seq", "version", "before", "after", "offloaded"]
    assert row.split() == ["1,234", "56", "7,890,123", "4,567,890", "12"]
