"""Take one kind out of rendered manifests: python kinds.py MANIFESTS KIND FILE. Fails unless there is exactly one."""

import sys
from pathlib import Path
from typing import Any

import yaml


def only(manifests: str, kind: str) -> dict[str, Any]:
    """Return the one resource of *kind* in *manifests*."""
    found = [one for one in yaml.safe_load_all(manifests) if one and one["kind"] == kind]
    if len(found) != 1:
        raise SystemExit(f"expected one {kind}, found {len(found)}")
    resource: dict[str, Any] = found[0]
    return resource


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(yaml.safe_dump(only(Path(sys.argv[1]).read_text(), sys.argv[2])))
