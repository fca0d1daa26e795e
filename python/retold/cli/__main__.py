"""Let ``python -m retold.cli`` be the command ``retold``."""

from retold.cli import main

main()
