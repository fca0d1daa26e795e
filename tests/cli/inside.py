"""Run the command line in this process, where a process of its own would take most of a test's time."""

from contextvars import copy_context

from typer.testing import CliRunner, Result

from retold.cli.app import app


def invoke(*words: str, **variables: str) -> Result:
    """Return what ``retold`` with *words* and environment *variables* ends with; its flags are forgotten after it."""
    return copy_context().run(CliRunner().invoke, app, list(words), env=variables)
