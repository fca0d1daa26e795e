"""What is shipped, held against the settings that there are: a variable that nobody reads sets nothing."""

import re
import tomllib
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from retold.cli.app import app
from retold.settings import FILE_SUFFIX, PREFIX, READ_ELSEWHERE, SECRETS, Settings

ROOT = Path(__file__).parents[2]
READ = {PREFIX + name.upper() for name in Settings.model_fields} | READ_ELSEWHERE
SECRET_FILES = {PREFIX + name.upper() + FILE_SUFFIX for name in SECRETS}


def _shipped() -> dict[str, str]:
    """Return every text file in deploy/ by its name, NATS's own aside: there the names are those of roles."""
    files = (file for file in (ROOT / "deploy").rglob("*") if file.is_file() and file.parent.name != "nats")
    return {str(file.relative_to(ROOT)): file.read_text() for file in files if "secrets" not in file.parts}


def test_every_variable_that_is_set_is_a_setting() -> None:
    """Image, cluster, chart, units and their instructions name settings as a worker reads them."""
    named = {name: set(re.findall(r"\bRETOLD_[A-Z_]+\b", text)) for name, text in _shipped().items()}
    unread = {name: words - READ - SECRET_FILES for name, words in named.items()}
    roles = {"RETOLD_WORKER", "RETOLD_LEASES"}
    assert {name: words - roles for name, words in unread.items() if words - roles} == {}
    assert sum(map(len, named.values())) > 30


def test_every_command_that_is_told_to_run_is_there() -> None:
    """The runbook and the instructions send nobody to a command that is called otherwise."""
    commands = get_command(app)
    assert isinstance(commands, TyperGroup)
    told = {word for text in _shipped().values() for word in re.findall(r"`retold ([a-z]+)", text)}
    assert len(told) > 5
    assert told <= set(commands.commands)


def test_the_chart_and_the_package_have_one_version() -> None:
    """A release is one number: the package's, the core's, the chart's, the image's."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    core = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    chart = dict(re.findall(r"^(\w+): (.+)$", (ROOT / "deploy/helm/retold/Chart.yaml").read_text(), re.MULTILINE))
    assert {package, core, chart["version"], chart["appVersion"]} == {package}


def test_the_image_installs_what_the_package_needs() -> None:
    """The lock that the image is made from has every dependency and the extras that it is made with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["openai"], *extras["anthropic"], *extras["otel"]]
    names = {re.split(r"[^A-Za-z0-9_-]", one)[0].lower() for one in needed}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "deploy/runtime.lock").read_text(), re.MULTILINE))
    assert names <= locked
