"""How fast are exact counts, beside tiktoken's on the same text in the same run?"""

import base64
import random

import pytest
import tiktoken
from pytest_benchmark.fixture import BenchmarkFixture

from retold import tokens

WORDS = "the worker reads a session's events in order and decides after each one what has to leave the window".split()
CHINESE = "模型读到的是缩短后的对话而日志保留每一个字所以任何状态都可以重建比较分叉或者恢复"
SIZE = 200_000

# The published pattern of o200k_base, as tiktoken's openai_public.py has it.
O200K_PATTERN = "|".join(
    (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    )
)


def _english(chance: random.Random) -> str:
    return " ".join(chance.choice(WORDS) + chance.choice(("", ",", ".", "\n")) for _ in range(SIZE // 6))[:SIZE]


def _code(chance: random.Random) -> str:
    lines = (
        "    for {a} in range({n}):",
        "        self.{a}[{n}] = {b}({a}, limit={n})",
        "def {a}_{b}({a}: int) -> str:",
        '    return f"{{{a}}}-{n}"  # {b}',
    )
    made = [
        chance.choice(lines).format(a=chance.choice(WORDS), b=chance.choice(WORDS), n=chance.randrange(10_000))
        for _ in range(SIZE // 30)
    ]
    return "\n".join(made)[:SIZE]


def _chinese(chance: random.Random) -> str:
    return "".join(chance.choice(CHINESE) for _ in range(SIZE // 3))


def _base64(chance: random.Random) -> str:
    return base64.b64encode(chance.randbytes(SIZE * 3 // 4)).decode()


CORPORA = {"english": _english, "code": _code, "chinese": _chinese, "base64": _base64}


@pytest.fixture(scope="module")
def tiktoken_o200k() -> tiktoken.Encoding:
    """Give tiktoken's machine on o200k_base's pattern and the ranks that Retold ships."""
    ours = tokens.encoding("o200k_base")
    size = next(vocabulary.tokens for vocabulary in tokens.vocabularies() if vocabulary.name == "o200k_base")
    return tiktoken.Encoding(
        "o200k_base",
        pat_str=O200K_PATTERN,
        mergeable_ranks={ours.decode([rank]): rank for rank in range(size)},
        special_tokens={},
    )


@pytest.mark.parametrize("peer", ["retold", "tiktoken"])
@pytest.mark.parametrize("corpus", CORPORA)
def test_count(benchmark: BenchmarkFixture, tiktoken_o200k: tiktoken.Encoding, corpus: str, peer: str) -> None:
    """Count 200 KB of text that was not seen before."""
    benchmark.group = f"count 200 KB of {corpus}"
    chance = random.Random(7)
    encoding = tokens.encoding("o200k_base")

    def fresh() -> tuple[tuple[str], dict[str, object]]:
        return (CORPORA[corpus](chance),), {}

    def count(text: str) -> int:
        return encoding.count(text) if peer == "retold" else len(tiktoken_o200k.encode_ordinary(text))

    benchmark.pedantic(count, setup=fresh, rounds=9)


def test_append(benchmark: BenchmarkFixture) -> None:
    """Append 16 characters to a counter that holds 100 KB."""
    counter = tokens.encoding("o200k_base").counter()
    counter.append(_english(random.Random(7))[:100_000])
    benchmark.group = "append 16 characters at 100 KB"
    benchmark(counter.append, " and then decide")


@pytest.mark.parametrize("threads", [1, 2])
def test_count_batch(benchmark: BenchmarkFixture, threads: int) -> None:
    """Count 2,000 texts of 2 KB in one call. Time on the clock: threads share the machine with all else that runs."""
    texts = [_english(random.Random(number))[:2_000] for number in range(200)] * 10
    encoding = tokens.encoding("o200k_base")
    benchmark.group = "count 2,000 texts in a batch"
    benchmark(encoding.count_batch, texts, threads=threads)


@pytest.mark.parametrize("size", [20_000, 2_000_000])
def test_span_inside_a_run(benchmark: BenchmarkFixture, size: int) -> None:
    """Count half of an unbroken run of `=`, from a place between its tokens."""
    counter = tokens.encoding("o200k_base").counter()
    counter.append("=" * size)
    benchmark.group = "half of a run of ="
    benchmark(counter.span, size // 4 + 1, 3 * size // 4)
