"""Rebuild the embedded vocabularies from the published .tiktoken files.

Run it with a folder that holds the files, under any name: the SHA-256 of the content decides which vocabulary a file
is, and must be the one that tiktoken itself publishes and checks (tiktoken_ext/openai_public.py). Everything else is
refused, so that a vocabulary can only change when OpenAI publishes another one.

    python rust/tokens/vocab/rebuild.py .venv/lib/python3.11/site-packages/litellm/litellm_core_utils/tokenizers

The form of a .vocab file: the magic bytes "RTV1", the number of tokens (u32, little endian), the length of each token
(one byte each, in rank order), then the bytes of all tokens, in rank order. Rank and position are the same number.
"""

import argparse
import base64
import hashlib
import struct
import sys
from pathlib import Path

MAGIC = b"RTV1"

PUBLISHED = {
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": "o200k",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": "cl100k",
}
"""The expected_hash values of tiktoken 0.14.0 and the name of the file each becomes."""


def pack(published: bytes) -> bytes:
    """Return the compact form of a .tiktoken file, or stop if its ranks are not 0, 1, 2 … in order."""
    tokens: list[bytes] = []
    for line in published.splitlines():
        encoded, rank = line.split(b" ")
        if int(rank) != len(tokens):
            sys.exit(f"expected rank {len(tokens)}, got {int(rank)}")
        tokens.append(base64.b64decode(encoded, validate=True))
    if unpack(tokens) != published:
        sys.exit("expected a file that its own tokens rebuild byte for byte")
    if max(map(len, tokens)) > 255 or len(set(tokens)) != len(tokens):
        sys.exit("expected tokens of at most 255 bytes, each of them once")
    lengths = bytes(len(token) for token in tokens)
    return MAGIC + struct.pack("<I", len(tokens)) + lengths + b"".join(tokens)


def unpack(tokens: list[bytes]) -> bytes:
    """Return the .tiktoken file that holds *tokens* in rank order."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def main() -> None:
    """Read the folder named on the command line and write the vocabularies beside this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the .tiktoken files are")
    folder: Path = parser.parse_args().folder
    missing = set(PUBLISHED.values())
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        content = file.read_bytes()
        name = PUBLISHED.get(hashlib.sha256(content).hexdigest())
        if name is None:
            continue
        target = Path(__file__).with_name(f"{name}.vocab")
        target.write_bytes(pack(content))
        missing.discard(name)
        print(f"{target.name}: {target.stat().st_size} bytes from {file.name}")
    if missing:
        sys.exit(f"expected files with the published SHA-256 of {', '.join(sorted(missing))} in {folder}")


if __name__ == "__main__":
    main()
