"""What a text is about, as terms: words without those that say little, and pairs of neighbouring Chinese characters.

No dictionary and no model: a Chinese word is met by the pairs of characters in it, an English plural by its singular.
"""

import re
from functools import lru_cache
from itertools import chain

WORDS_REMEMBERED = 16_384
"""What is found out about so many words is kept: those of a long session, some megabytes. They come again and again."""

_CJK = "\u3040-\u30ff\u3400-\u9fff"
_LETTER = rf"[^\W{_CJK}]"
_WORD = re.compile(rf"[{_CJK}]+|[#@~/$]?{_LETTER}+(?:[./:@~'+\\-]+{_LETTER}+)*%?")


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SAY_LITTLE = _listed(
    "a an the and or but nor of to in on at by for from with without into onto over under as is am are was were "
    "be been being do does did done have has had having will would shall should can could may might must i me my "
    "mine we us our you your he him his she her it its they them their this that these those there here who whom "
    "which what when where why how if then than so such just very too also only even still yet again about up "
    "down out off not no any some all each every both either neither one ones please let lets make makes made get "
    "gets got put puts use uses used using go goes going come say says said see sees seen look looks want wants "
    "need needs like thing things way ok okay thanks yes more most much many few lot i'm i've i'd i'll we're "
    "we've it's that's don't doesn't can't you're let's"
)
_FRAME = _listed(
    "able add allow already answer apply ask avoid become before begin belong best better bit bring cause change "
    "check come consider continue deal decide default end ensure ever expect finally find fine first follow give "
    "given happen hear help hold important instead keep kind know last later leave less level little live long "
    "lower matter maybe mean mind move must near never new next nothing now old other own prefer probably provide "
    "raise rather reach reachable read ready really require right same send serve set should show sign since "
    "small sort start stay still stick stop sure take talk tell thought time today together tomorrow too total "
    "try turn update wait way week whatever while whole work works write yesterday"
)
"""Words that statements are built with, whatever they are about."""

_FRAME_ZH = _listed(
    "时间 时候 名字 已经 可以 应该 需要 必须 使用 现在 以后 今后 所有 任何 无论 如何 怎么 什么 一下 "
    "这样 那样 之前 之后 之内 以内 以上 以下 左右 大概 可能 希望 觉得 认为 喜欢 知道 开始 结束 继续 "
    "完成 进行 没有 不要 不能 不再 就行 一点 提醒 目标 更多 更喜 我更 从现 现起"
)

_SPLITS_ZH = re.compile(
    r"[的了是在和与我你他她它们就也都把被让给用到之"
    r"及或吧吗呢啊请个这那很要会有]"
)
"""Characters that join words and say little themselves: of, is, at, and, I, you, let, use, to, have and such."""


def terms_of(text: str) -> list[str]:
    """Return the terms of *text*, in order, lower case; some may come twice. O(characters)."""
    return list(chain.from_iterable(map(_terms, _WORD.findall(text))))


def matter_of(text: str) -> set[str]:
    """Return the terms of *text* that say what it is about: no values, and none that any statement is built with."""
    return {term for term in terms_of(text) if not is_literal(term) and term not in _FRAME and term not in _FRAME_ZH}


_LITERAL = re.compile(r"[\d_/@]")


@lru_cache(maxsize=WORDS_REMEMBERED)
def is_literal(term: str) -> bool:
    """Return whether *term* is a value rather than a word: it has a digit, or is written as names of things are."""
    return _LITERAL.search(term) is not None or (not term.isascii() and any(map(str.isdigit, term)))


@lru_cache(maxsize=WORDS_REMEMBERED)
def _terms(word: str) -> tuple[str, ...]:
    if word[0] >= "\u3040" and re.match(f"[{_CJK}]", word):
        return tuple(run[at : at + 2] for run in _SPLITS_ZH.split(word) for at in range(len(run) - 1))
    term = word.lower().removesuffix("'s")
    if term in _SAY_LITTLE or (len(term) == 1 and not term.isdigit()):
        return ()
    plural = len(term) > 3 and term.endswith("s") and not term.endswith(("ss", "us", "is")) and term.isalpha()
    return (term[:-1] if plural else term,)
