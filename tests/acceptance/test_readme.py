"""What the README shows works when pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_readme_runs_when_pasted(example: str, tmp_path: Path) -> None:
    """When I paste an example of the README into a file and run it, it prints its results and no error."""
    script = tmp_path / "pasted.py"
    script.write_text(example, encoding="utf-8")
    environment = {**os.environ, "RETOLD_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == example.count("print(")
    assert not done.stderr


def test_the_readme_has_examples() -> None:
    """The README shows the log, with and without asyncio, the function, texts, requests and both kinds of edits."""
    assert len(EXAMPLES) == 7
