"""The rules of the house, checked by what Git holds; each check is shown to fail on a planted breach."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
STUB_LINES_MAX = 600  # of a compiled module, which has one stub
FOLDERS_MAX = 2
BLOB_BYTES_MAX = 256 * 1024
_NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}
_CODE = {".py", ".pyi", ".rs"}
_LOCKS = {"Cargo.lock", "requirements.lock"}


def _files(root: Path = _ROOT) -> list[Path]:
    """Return every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - Git is where it is
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [root / name for name in sorted(filter(None, listed.stdout.split("\0"))) if (root / name).is_file()]


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _long_functions(file: Path) -> Iterator[str]:
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield f"{file}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
    elif file.suffix == ".rs":
        yield from _long_rust_functions(file)


def _long_rust_functions(file: Path) -> Iterator[str]:
    """A function ends at the closing brace of its own depth: rustfmt sees to that."""
    start: tuple[int, str] | None = None
    for number, line in enumerate(_lines(file), start=1):
        opening = re.match(r"(\s*)(?:pub(?:\([a-z]+\))? )?(?:const |async )*fn \w+", line)
        if opening and start is None:
            start = (number, opening.group(1))
        if start is not None and line == start[1] + "}":
            if number - start[0] + 1 > FUNCTION_LINES_MAX:
                yield f"{file}:{start[0]}: a function has {number - start[0] + 1} lines, at most {FUNCTION_LINES_MAX}"
            start = None


def _long_file(file: Path) -> Iterator[str]:
    most = STUB_LINES_MAX if file.suffix == ".pyi" else FILE_LINES_MAX
    if file.suffix in _CODE and len(_lines(file)) > most:
        yield f"{file} has {len(_lines(file))} lines, at most {most}"


def _empty_name(file: Path) -> Iterator[str]:
    if {part.lower().split(".")[0] for part in file.parts[-3:]} & _NAMES_THAT_SAY_NOTHING:
        yield f"{file}: its name says nothing"


def _large_blob(file: Path) -> Iterator[str]:
    vocabulary = file.parent.name == "vocab" and file.parent.parent.name == "tokens"
    if not vocabulary and file.stat().st_size > BLOB_BYTES_MAX:
        yield f"{file} has {file.stat().st_size} bytes, at most {BLOB_BYTES_MAX}"


def _deep_folder(file: Path) -> Iterator[str]:
    parts = (
        file.relative_to(_ROOT).parts if file.is_relative_to(_ROOT) else file.parts
    )  # a clone may be named as we are
    if "retold" in parts:
        below = parts[len(parts) - parts[::-1].index("retold") : -1]
        if len(below) > FOLDERS_MAX:
            yield f"{file}: more than {FOLDERS_MAX} folders below the package"


def _todo_without_issue(file: Path) -> Iterator[str]:
    if file.suffix in _CODE:
        for number, line in enumerate(_lines(file), start=1):
            if re.search(r"(#|//) *(TODO|FIXME|XXX)\b(?!.*#\d)", line):
                yield f"{file}:{number}: work without an issue"


_RULES: dict[str, Callable[[Path], Iterator[str]]] = {
    "functions-are-short": _long_functions,
    "files-are-short": _long_file,
    "names-say-something": _empty_name,
    "blobs-are-small": _large_blob,
    "folders-are-shallow": _deep_folder,
    "todos-have-issues": _todo_without_issue,
}


@pytest.mark.parametrize("rule", _RULES)
def test_the_house_rules_hold(rule: str) -> None:
    """Whoever opens a file finds it short, shallow, and named for what is in it."""
    files = [file for file in _files() if file.name not in _LOCKS]
    assert len(files) > 100
    assert [breach for file in files for breach in _RULES[rule](file)] == []


_BODY = "    x = 1\n"
_BREACHES = {
    "functions-are-short": ("python/retold/a.py", "def long() -> None:\n" + _BODY * 60),
    "files-are-short": ("python/retold/a.py", "x = 1\n" * 401),
    "names-say-something": ("python/retold/utils.py", ""),
    "blobs-are-small": ("tests/a.bin", "x" * (BLOB_BYTES_MAX + 1)),
    "folders-are-shallow": ("python/retold/a/b/c/d.py", ""),
    "todos-have-issues": ("python/retold/a.py", f"x = 1  # {'TO'}DO: later\n"),
}


@pytest.mark.parametrize("rule", _RULES)
def test_a_breach_of_a_house_rule_is_found(rule: str, tmp_path: Path) -> None:
    """Each rule finds the breach that was planted for it, and finds nothing in a file that keeps it."""
    name, content = _BREACHES[rule]
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(content, encoding="utf-8")
    assert len(list(_RULES[rule](file))) == 1
    good = tmp_path / "python" / "retold" / "room" / "good.py"
    good.parent.mkdir(parents=True, exist_ok=True)
    good.write_text("def short() -> None:\n" + _BODY * 59, encoding="utf-8")
    assert list(_RULES[rule](good)) == []


def test_a_long_rust_function_is_found(tmp_path: Path) -> None:
    """The rule for functions reads Rust as well."""
    file = tmp_path / "a.rs"
    file.write_text("impl A {\n    pub fn f() {\n" + "        g();\n" * 60 + "    }\n}\n", encoding="utf-8")
    assert len(list(_long_functions(file))) == 1


def test_every_test_has_a_sentence() -> None:
    """Each test says in one sentence what a user may rely on."""
    silent = []
    for file in (one for one in _files() if one.name.startswith("test_") and one.suffix == ".py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                sentence = ast.get_docstring(node) or ""
                if not sentence.strip().endswith((".", "?", "!")):
                    silent.append(f"{file}:{node.lineno} {node.name}")
    assert silent == []
