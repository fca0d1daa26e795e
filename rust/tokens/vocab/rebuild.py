"""Rebuild the embedded vocabularies from the published .tiktoken files.

Run it with a folder that holds the files, under any name: the SHA-256 of the content decides which vocabulary a file
is, and must be the one that tiktoken itself publishes and checks (tiktoken_ext/openai_public.py). Everything else is
refused, so that a vocabulary can only change when OpenAI publishes another one.

    python rust/tokens/vocab/rebuild.py .venv/lib/python3.11/site-packages/litellm/litellm_core_utils/tokenizers

A token of two bytes or more is written as the two tokens that merging makes it of, last: that is all that merging needs
to know, and the bytes of every token follow from it. It holds for a vocabulary in which merging the bytes of each token
gives that token; one in which it does not is refused.

The form of a .vocab file: the magic bytes "RTV2", the number of tokens and the number of straddling tokens (u32, little
endian), the 256 single bytes in rank order, the ranks of the left and of the right part of every other token, in rank
order (u24, little endian), then the ranks of the straddling tokens (u32): those that hold a part of one character
together with bytes of another, the only ones that can keep a character from being merged before its neighbours are.
"""

import argparse
import base64
import hashlib
import struct
import sys
from itertools import pairwise
from pathlib import Path

MAGIC = b"RTV2"
SINGLE_BYTES = 256

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
    single = b"".join(tokens[:SINGLE_BYTES])
    if sorted(single) != list(range(SINGLE_BYTES)) or len(set(tokens)) != len(tokens):
        sys.exit("expected the single bytes first, and every token once")
    ranks = {token: rank for rank, token in enumerate(tokens)}
    parts = bytearray()
    for token in tokens[SINGLE_BYTES:]:
        for rank in last_merge(token, ranks):
            parts += rank.to_bytes(3, "little")
    straddling = [rank for rank, token in enumerate(tokens) if straddles(token)]
    sizes = struct.pack("<II", len(tokens), len(straddling))
    return MAGIC + sizes + single + bytes(parts) + struct.pack(f"<{len(straddling)}I", *straddling)


def straddles(token: bytes) -> bool:
    """Tell whether *token* has a part of a character, and bytes of another."""
    starts = [at for at, byte in enumerate(token) if byte & 0xC0 != 0x80]
    return any(starts) and token.decode("utf-8", "ignore").encode() != token


def last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[int, int]:
    """Return the ranks of the two tokens that merging the bytes of *token* makes it of."""
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(left + right, len(ranks)) for left, right in pairwise(parts)]
        lowest = min(joined)
        if lowest >= ranks[token]:
            sys.exit(f"expected merging to give the token of rank {ranks[token]}, it gives several")
        at = joined.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    left, right = parts
    return ranks[left], ranks[right]


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
