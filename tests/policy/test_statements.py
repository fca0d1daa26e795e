# ruff: noqa: RUF001 - texts of other languages
"""What the user said is taken apart into sentences as its language ends them."""

import pytest

from retold.policy.statements import sentences_of, statements_of


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Use 3.5. Never touch a.py! Why?", ["Use 3.5.", "Never touch a.py!", "Why?"]),
        ("端口用8080。不要动支付模块！版本3.5可以吗？", ["端口用8080。", "不要动支付模块！", "版本3.5可以吗？"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("見 src/a.py。終わり。", ["見 src/a.py。", "終わり。"]),
        ("पोर्ट 8080 है।इसे मत छुओ।", ["पोर्ट 8080 है।", "इसे मत छुओ।"]),
        ("هل انتهى؟نعم", ["هل انتهى؟", "نعم"]),
        ("One line\nand another", ["One line", "and another"]),
        ("。！？", []),
    ],
    ids=["english", "chinese", "a quotation", "japanese", "hindi", "arabic", "lines", "stops alone"],
)
def test_a_sentence_ends_where_its_language_ends_it(text: str, sentences: list[str]) -> None:
    """A wide stop ends a sentence without a blank after it; a full stop within a name or a number does not."""
    assert sentences_of(text) == sentences


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["x", "1", "请检查支付", "a(", "a:", "; "])
def test_a_line_without_an_end_is_read_in_one_pass(piece: str) -> None:
    """A line of a quarter of a megabyte, such as tools print, holds nobody up."""
    assert statements_of(piece * (250_000 // len(piece)), seq=1)
