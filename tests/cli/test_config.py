"""Settings by file, environment and flags: which one counts, what is wrong with them, and that no secret is shown."""

import json
import os
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from retold import settings
from retold.cli.app import app
from retold.errors import InputError

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Give a function that runs ``retold`` in this process, with the environment's own settings taken away."""
    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, **variables: str) -> Result:
        return copy_context().run(CliRunner().invoke, app, list(words), env=variables)

    return invoke


def _told(result: Result, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in json.loads(result.stdout) if one["name"] == name)
    return found


def test_a_flag_counts_before_the_environment_and_that_before_the_file(run: Run, tmp_path: Path) -> None:
    """Each setting is shown as it is used, with the flag, the variable or the line that it comes from."""
    file = tmp_path / "retold.toml"
    file.write_text('url = "nats://file"\nlog_format = "json"\nhttp_port = 1\n')
    shown = ("--config", str(file), "config", "show", "--json")
    found = run(*shown, RETOLD_HTTP_PORT="2")
    assert _told(found, "http_port") | {"value": 2, "place": "RETOLD_HTTP_PORT"} == _told(found, "http_port")
    assert _told(found, "log_format")["place"] == f"{file}:2 log_format"
    assert _told(found, "log_level") == {"name": "log_level", "value": "info", "kind": "default", "place": "default"}
    flagged = run("--url", "nats://flag", *shown, RETOLD_URL="nats://variable")
    assert (_told(flagged, "url")["value"], _told(flagged, "url")["place"]) == ("nats://flag", "--url")
    assert _told(run(*shown, RETOLD_URL="nats://variable"), "url")["value"] == "nats://variable"
    assert _told(run(*shown[2:], RETOLD_CONFIG=str(file)), "url")["value"] == "nats://file"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("\nhtpp_port = 3\n", "line 2; nearest: 'http_port'"),
        ("[http]\nport = 3\n", "'http' in line 1"),
        ('\n\nhttp_port = "many"\n', "retold.toml:3 http_port"),
        ("http_port = 70000\n", "65535"),
        ('log_format = "xml"\n', "'text' or 'json'"),
        ("a = [\n", "TOML"),
        ('nats_creds = "none.creds"\nurl = "nats://h"\n', "none.creds"),
        ('url = "http://h"\n', "nats://host:port"),
        ('key_file = "none.keys"\n', "none.keys"),
        ('summarizer = "chatty"\n', "chatty"),
        ('worker_name = "a b"\n', "worker_name"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(run: Run, tmp_path: Path, content: str, told: str) -> None:
    """A check of wrong settings exits with 2 and names the setting, with the line where that is known."""
    file = tmp_path / "retold.toml"
    file.write_text(content)
    checked = run("config", "check", str(file))
    assert checked.exit_code == 2
    assert told in checked.stdout
    assert json.loads(run("config", "check", str(file), "--json").stdout)["wrong"] != []


def test_good_settings_pass(run: Run, tmp_path: Path) -> None:
    """A check of settings that can be used exits with 0."""
    file = tmp_path / "retold.toml"
    file.write_text('http_host = "0.0.0.0"\nhttp_port = 9464\nlog_format = "json"\nurl = "tls://a:4222,tls://b:4222"\n')
    checked = run("config", "check", str(file))
    assert (checked.exit_code, checked.stdout) == (0, f"ok: {file}\n")


def test_a_variable_that_nothing_reads_is_named(run: Run) -> None:
    """A misspelt variable is a warning with the nearest name; others' variables may look alike, so it is no more."""
    checked = run("config", "check", RETOLD_HTTP_PROT="9464")
    assert checked.exit_code == 0
    assert "nothing reads RETOLD_HTTP_PROT; nearest: RETOLD_HTTP_PORT" in checked.stdout


def test_a_secret_comes_from_a_file_of_its_own_and_is_not_shown(run: Run, tmp_path: Path) -> None:
    """An address with a password, and a provider's key, can be in files; neither is in what is shown."""
    (tmp_path / "url").write_text("nats://user:hunter2@h:4222,nats://hunter2@h2\n")
    (tmp_path / "key").write_text("sk-hunter2\n")
    variables = {"RETOLD_URL_FILE": str(tmp_path / "url"), "RETOLD_SUMMARIZER_KEY_FILE": str(tmp_path / "key")}
    shown = run("config", "show", "--json", **variables)
    assert "hunter2" not in shown.stdout + run("config", "show", **variables).stdout
    assert _told(shown, "url")["value"] == "nats://(hidden)@h:4222,nats://(hidden)@h2"
    assert _told(shown, "url")["place"] == "RETOLD_URL_FILE"
    assert _told(shown, "summarizer_key")["value"] == "(set)"
    both = run("config", "check", **variables, RETOLD_URL="nats://h")
    assert (both.exit_code, "got both" in both.stdout) == (2, True)


def test_paths_in_a_file_are_seen_from_its_folder(run: Run, tmp_path: Path) -> None:
    """A file of settings may be moved with the files that it names."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "retold.toml").write_text('nats_creds = "user.creds"\ndata_dir = "/srv/retold"\n')
    shown = run("--config", str(folder / "retold.toml"), "config", "show", "--json")
    assert _told(shown, "nats_creds")["value"] == str(folder / "user.creds")
    assert _told(shown, "data_dir")["value"] == "/srv/retold"


def test_a_file_that_is_not_there_is_wrong_usage(run: Run) -> None:
    """A command whose file of settings cannot be read says so, and does not go on with less."""
    ended = run("--config", "/nonexistent/retold.toml", "config", "show")
    assert isinstance(ended.exception, InputError)
    assert "/nonexistent/retold.toml" in str(ended.exception)
