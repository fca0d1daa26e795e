"""The benchmarks tell what they found, whatever is installed; nothing here depends on how fast this machine is."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias
from xml.etree import ElementTree as ET

import pytest

from retold.cli import bench_chart, bench_texts
from retold.cli.bench_append import conversation, pieces
from retold.cli.bench_figures import limit, ratio, verdict
from retold.cli.bench_peers import Racer
from retold.cli.bench_race import Race, timing
from retold.errors import InputError

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

TINY_TOKENS = ("bench", "tokens", "--size", "500", "--worst", "200", "--rounds", "2")
TINY_APPEND = ("bench", "append", "--size", "3000", "--rounds", "2")


@pytest.fixture
def wrong_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a peer that counts letters, where the command line will find it."""
    folder = tmp_path / "installed"
    (folder / "bpe_openai-9.9.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: bpe-openai\nVersion: 9.9\n"
    (folder / "bpe_openai-9.9.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    body = "class E:\n    encode_ordinary = list\ndef get_encoding(name):\n    return E\n"
    (folder / "bpe_openai.py").write_text(body, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.slow
def test_bench_tokens_gives_one_document_with_every_case(retold: Retold, tmp_path: Path) -> None:
    """I get one JSON document: what raced, each case fresh and replayed, the figures asked for, and a chart."""
    chart = tmp_path / "chart.svg"
    done = retold(*TINY_TOKENS, "--peer", "tiktoken", "--chart", chart, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    cases = {(shown["case"], shown["racer"]) for shown in found["timings"]}
    for kind in bench_texts.kinds():
        assert {(f"{kind}, fresh", "retold"), (f"{kind}, replay", "tiktoken")} <= cases
    assert {("0.2 KB of =", "tiktoken"), ("20 KB of =", "retold"), ("import and first count", "retold")} <= cases
    assert all(shown["low"] <= shown["median"] <= shown["high"] for shown in found["timings"])
    verdicts = {figure["name"]: figure["verdict"] for figure in found["figures"]}
    assert verdicts["chat messages one call each, to fastokens"] == "not measured"
    assert ET.parse(chart).getroot().tag.endswith("svg")  # noqa: S314 - written by the program under test


@pytest.mark.slow
def test_bench_append_compares_with_recounts(retold: Retold) -> None:
    """I see what an append costs beside a bare call, and beside a peer that counts everything again."""
    done = retold(*TINY_APPEND, "--peer", "tiktoken")
    assert done.returncode == 0, done.stderr
    for words in ("append 4 B", "bare call", "recounting everything", "4-byte append from Python", "bare calls of"):
        assert words in done.stdout


@pytest.mark.slow
def test_peers_that_are_not_installed_are_skipped_and_named(retold: Retold) -> None:
    """Without the peers the benchmark runs all the same, and says of each how to install it."""
    done = retold(*TINY_APPEND, "--json")
    assert done.returncode == 0, done.stderr
    states = {peer["name"]: peer for peer in json.loads(done.stdout)["peers"]}
    assert "tiktoken" in states
    for name, module in (("gigatoken", "gigatoken"), ("fastokens", "fastokens"), ("bpe-openai", "bpe_openai")):
        installed = importlib.util.find_spec(module) is not None
        assert installed or "pip install" in states[name]["skipped"]


@pytest.mark.slow
@pytest.mark.usefixtures("wrong_peer")
def test_a_peer_that_counts_otherwise_fails_the_run(retold: Retold) -> None:
    """When a peer's count differs from Retold's, I am told where and by how much, and the exit code is 1."""
    done = retold(*TINY_APPEND, "--peer", "bpe-openai")
    assert done.returncode == 1
    assert "DIFFERENT, conversation: retold counts" in done.stderr
    assert "bpe-openai" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--encoding", "p50k"),
        ("--peer", "nobody"),
        ("--text", "klingon=x"),
        ("--text", "code=/no/such"),
        ("--rounds", "0"),
        ("--chart", "/no/such/x.svg"),
    ],
)
def test_a_wrong_option_is_named(retold: Retold, words: tuple[str, str]) -> None:
    """An option that cannot be is answered with what was expected and exit code 2."""
    done = retold(*TINY_APPEND, *words)
    assert done.returncode == 2
    assert words[0] in done.stderr or words[1].partition("=")[2] in done.stderr


def test_what_differs_does_not_race() -> None:
    """A peer that is wrong on the first texts is told and left out: the speed of a wrong count means nothing."""
    right = Racer(name="retold", count=len, count_short=len)
    wrong = Racer(name="wrong", count=lambda _: 1, count_short=len)
    race = Race([right, wrong], seed=1)
    race.check("texts", ["a", "bb"])
    assert [(found.racer, found.ours, found.theirs) for found in race.differences] == [("wrong", 2, 1)]
    race.bulk("texts", ["ccc"])
    assert {shown.racer for shown in race.timings} == {"retold"}


def test_what_differs_later_is_told_too() -> None:
    """A count that is wrong only in the timed part is a difference as well."""
    right = Racer(name="retold", count=len, count_short=len)
    wrong = Racer(name="wrong", count=len, count_short=lambda _: 0)
    race = Race([right, wrong], seed=1)
    race.check("texts", ["a"])
    race.chat("chat", [["one", "two"]])
    assert [(found.racer, found.ours, found.theirs) for found in race.differences] == [("wrong", 6, 0)]


@pytest.mark.parametrize(
    ("measured", "said"), [(3.0, "aim met"), (2.0, "required met"), (1.0, "missed"), (None, "not measured")]
)
def test_a_figure_that_is_missed_is_called_missed(measured: float | None, said: str) -> None:
    """The verdict on a figure is what the numbers say."""
    own, peer = (
        timing("x", name, [value], unit="MB/s", more=True) for name, value in (("retold", measured or 0), ("p", 1))
    )
    shown = [own] if measured is None else [own, peer]
    assert ratio("x", shown, "x", ("p",), required=1.5, aim=2.5).verdict == said
    under = None if measured is None else -measured
    assert limit("x", under, "ms", required=-1.5, aim=-2.5).verdict == said
    assert verdict((False, True)) == "aim met"


@pytest.mark.slow
def test_slices_are_of_one_size_and_no_two_are_the_same() -> None:
    """What is called fresh was not counted before: each slice is another text, and the seed decides which."""
    first, again = (bench_texts.corpora(size=3_000, slices=6, seed=3, own={}) for _ in range(2))
    assert first == again
    for corpus in first:
        sizes = [len(text.encode()) for text in corpus.slices]
        assert len(set(corpus.slices)) == 6
        assert max(sizes) - min(sizes) <= 6


def test_a_text_that_is_too_short_is_refused(tmp_path: Path) -> None:
    """When my own text is too short to be cut into slices, I am told how much is needed."""
    path = tmp_path / "short.txt"
    path.write_text("short", encoding="utf-8")
    with pytest.raises(InputError, match="english or more, got 5"):
        bench_texts.corpora(size=3_000, slices=6, seed=3, own={"english": path})


def test_a_conversation_is_appended_whole() -> None:
    """Cut into pieces for appending, a text of any characters is whole again when they are joined."""
    text = "naïve 模型 \U0001f468\u200d\U0001f469 end" * 20
    for size in (1, 4, 16, 10_000):
        assert "".join(pieces(text, size)) == text
    corpus = bench_texts.Corpus("any", "here", ("ab", "cd"))
    named = [bench_texts.Corpus(kind, "here", corpus.slices) for kind in bench_texts.kinds()]
    assert conversation(named, 6) == "ababcd"


SVG = "{http://www.w3.org/2000/svg}"


def _chart(figures: dict[str, float], *, more: bool = True) -> ET.Element:
    shown = [timing("a < b, fresh", racer, [value], unit="MB/s", more=more) for racer, value in figures.items()]
    return ET.fromstring(bench_chart.draw("Counts", shown))  # noqa: S314 - drawn by the code under test


def test_a_chart_shows_every_bar_and_escapes_names() -> None:
    """The chart is well-formed SVG with one bar for each figure, Retold's first, the others the best first."""
    root = _chart({"p&q": 0, "tiktoken": 10, "retold": 100, "gigatoken": 50})
    bars = [node.get("class") for node in root.iter(f"{SVG}rect")]
    assert bars == ["ground", "own", "other", "other", "other"]
    lines = [node.text for node in root.iter(f"{SVG}text")]
    names = [line for line in lines if line in {"p&q", "tiktoken", "retold", "gigatoken"}]
    assert names == ["retold", "gigatoken", "tiktoken", "p&q"]
    assert "a < b, fresh (MB/s)" in lines


@pytest.mark.parametrize(("more", "said"), [(True, "Longer is better"), (False, "Shorter is better")])
def test_a_chart_says_how_much_faster_retold_is(more: bool, said: str) -> None:  # noqa: FBT001 - a case of the test
    """Beside each bar stands how many times as fast Retold is, and above them how to read their length."""
    own, other = (1_042.0, 100.0) if more else (100.0, 1_042.0)
    lines = [node.text or "" for node in _chart({"retold": own, "tiktoken": other}, more=more).iter(f"{SVG}text")]
    assert any(line.startswith(said) for line in lines)
    assert any(line.endswith("  ·  10×") for line in lines)  # noqa: RUF001 - the sign of multiplication
    assert any("1,042" in line for line in lines)


def test_a_chart_says_in_words_what_it_shows() -> None:
    """Who cannot see the chart hears its title and every figure."""
    root = _chart({"tiktoken": 10, "retold": 100})
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert root.get("role") == "img"
    assert description.text == "a < b, fresh in MB/s: retold 100, tiktoken 10 (Retold 10×)."  # noqa: RUF001 - as above


def test_a_chart_can_be_read_on_light_and_dark_pages() -> None:
    """The chart brings its own ground and every colour a second time, for readers whose system is dark."""
    style = _chart({"tiktoken": 10, "retold": 100}).findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media(prefers-color-scheme:dark)")
    for coloured in (".ground{", "text{", ".quiet{", ".own{", ".other{"):
        assert coloured in light
        assert coloured in dark
