"""The command line of Retold."""

from retold.cli.app import main

__all__ = ["main"]
