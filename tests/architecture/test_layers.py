"""Imports point down: the contract holds, and it is shown to fail where it is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contract of *root*'s pyproject.toml on the package beside it."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'python'); {program}", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the package and of the contract, to be broken."""
    shutil.copy(_ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(_ROOT / "python", tmp_path / "python", ignore=ignored)
    return tmp_path


@pytest.mark.slow
def test_imports_point_down(copy: Path) -> None:
    """No room of the package imports one above it."""
    done = _lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("policy/ladder.py", "from retold.worker import Worker"),
        ("fold/builder.py", "import retold.policy.ladder"),
        ("events/codec.py", "from retold.tokens import encoding"),
        ("log/memory.py", "from retold.replay import load"),
        ("worker/live.py", "from retold.replay import load"),
        ("errors.py", "import retold.events"),
    ],
    ids=lambda value: value.split(".")[0] if value.endswith(".py") else "",
)
def test_an_import_that_points_up_is_found(copy: Path, file: str, line: str) -> None:
    """An upward import, or one between neighbours, breaks the contract and is named."""
    target = copy / "python" / "retold" / file
    target.write_text(target.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = _lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 kept, 1 broken" in done.stdout
    assert file.removesuffix(".py").replace("/", ".") in done.stdout


def test_the_core_is_pure() -> None:
    """Policy and everything below it awaits nothing, asks no clock, draws no chance, reads no environment."""
    banned = (
        "async ",
        "await ",
        "import random",
        "import time",
        "datetime.now",
        "import os",
        "environ",
        "import logging",
    )
    package = _ROOT / "python" / "retold"
    rooms = [package / room for room in ("events", "formats", "security", "fold", "policy")]
    files = [
        package / "errors.py",
        package / "sizes.py",
        package / "tokens.py",
        *(file for room in rooms for file in room.rglob("*.py")),
    ]
    assert len(files) > 30
    for file in files:
        text = file.read_text(encoding="utf-8").replace("from os import PathLike", "")
        found = [name for name in banned if any(line.lstrip().startswith(name) for line in text.splitlines())]
        found += [name for name in ("datetime.now(", "os.environ") if name in text]
        assert not found, f"{file}: {found}"
