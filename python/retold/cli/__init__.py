"""The command line of Retold."""

import sys

__all__ = ["main"]

INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended."""


def main() -> None:
    """Run the command line and end the process with its exit code; Ctrl-C ends it quietly, from the first moment on."""
    try:
        from retold.cli.app import main as run  # noqa: PLC0415 - loading takes long enough for a Ctrl-C

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
