"""What sentences of a kind begin with or contain, in English and Chinese; other languages are told by their values."""

import re
from typing import Final, final


@final
class Cue:
    """What is looked for in a text in lower case; the half that is not ASCII only where the text is not.

    That takes a third of the time of one expression that takes case for nothing.
    """

    def __init__(self, ascii_pattern: str, others_pattern: str) -> None:
        """Look for either pattern; *ascii_pattern* has no capitals, as the text has none."""
        self.pattern = f"{ascii_pattern}|{others_pattern}"
        self.ascii_pattern = ascii_pattern
        self._ascii = re.compile(ascii_pattern)
        self._others = re.compile(others_pattern)

    def is_in(self, lowered: str) -> bool:
        """Return whether *lowered*, a text in lower case, has it."""
        if self._ascii.search(lowered) is not None:
            return True
        return not lowered.isascii() and self._others.search(lowered) is not None


RULE: Final = Cue(
    r"\b(must|never|always|don't|do not|should(?: not|n't)?|only|make sure|ensure|requires?|required|forbidden|avoid|"
    r"not allowed|off limits|no circumstances|at (?:most|least)|no (?:more|less|fewer) than|within|stick to|stay on|"
    r"pinned to|keep|has to|have to|needs? to be|limit|maximum|minimum|prefer\w*|rather|instead|from now on|"
    r"i(?:'d| would) like|best for me)\b",
    r"必须|不要|不能|不可|不许|不得|禁止|务必|始终|只能|只用|确保|请勿|一定|不超过|最多|最少|至少|低于|高于|固定|使用|喜欢|希望用|偏好|我想要|以后|今后|还是|改",
)
GOAL: Final = Cue(
    r"\b(goals?|aim|deadline|due|want to|would like to|objective|trying to|planning? to|hope to|target|milestone|"
    r"deliver|ship|launch|what i am after|before (?:the|\w+ \d))\b",
    r"目标|希望|打算|计划|截止|交付|上线|之前|想要",
)
REQUEST: Final = re.compile(
    r"[?\uff1f]\s*$|^\s*(?:(?:ok|okay|thanks|great|good|now|next|then|and|so|also|first|please|thank you)\b[,.!: ]*)*"
    r"(?:please|can|could|would|will|run|check|look|have|go|continue|show|tell|explain|see|try|fix|add|clean|rename|find|"
    r"open|read|help|do|give|write|review|take)\b"
    r"|^\s*(?:请|帮|能否|能不能|你能|可以|继续|再|接下来|看|谢谢)|吗\s*[\u3002\uff1f]?$"
)
"""In a text in lower case."""
UPDATE: Final = Cue(
    r"\b(chang\w+ (?:of )?plans?|actually|instead|no longer|not any ?more|anymore|now|switch\w*|chang\w+|"
    r"mov(?:e|ed|es|ing)|renam\w+|replac\w+|"
    r"bump\w*|upgrad\w+|downgrad\w+|rais\w+|lower\w*|relax\w*|tighten\w*|extend\w*|postpon\w+|delay\w*|"
    r"push(?:ed)? back|bring forward|wait until|updat\w+|correct\w+|scratch that|second thoughts?|after all|"
    r"on reflection|heads-?up|from now on|from here|as of|since|starting|took over|takes over|make (?:it|that)|"
    r"rather than|forget|i was (?:too|wrong)|too (?:strict|little|much|tight|low|high)|more time|new|increas\w+|"
    r"decreas\w+|reduc\w+|shorten\w*|recently|time to|going (?:up|down) to|up to|down to)\b",
    r"改|换|不再|更新|更正|升级|降级|迁移|推迟|延后|提前|放宽|收紧|调整|算了|想了想|还是|现在|从.{1,6}起|以后|今后|已经|刚|计划有变|太|更多时间|看过",
)
"""That something is otherwise than before. Weak by itself: a statement is superseded only by one on the same matter."""

ADDS: Final = Cue(
    r"\b(also|as well|in addition|additionally|besides|too[.!]?$)\b",
    r"也|另外|还有|此外",
)
"""That something is so beside what was said: nothing is superseded."""

DECISION: Final = Cue(
    r"\b(decided|decision|instead of|let's use|i'll use|we'll use|going with|chosen?|root cause|turns out|because|"
    r"found)\b",
    r"决定|选择|改用|采用|原因是|根因|发现",
)
ERROR: Final = re.compile(
    r"(?:Error|Exception)\b|\bpanicked at\b|\bFAILED\b|\bfatal:|\berror(?:\[\w+\])?:|exit code:? [1-9]"
    r"|错误|失败|异常"
)
OPEN: Final = Cue(
    r"^\s*(?:[-*]\s*)?\[ \]|\b(todo|next step|remaining|still need|will now|not yet|left to do|follow-up)\b",
    r"下一步|待办|还需要|尚未|接下来",
)
PASTED: Final = re.compile(
    r"^\s{2,}\S|^\s*(?:#|//|>>>|\$ |\+\+\+|---|@@|at |File \")|[{};]\s*$|^(?>.*?\w\()(?>.*\))\s*[;:{]?$|^\S+:\d+[: ]"
    r"|^\s*\[?\d{4}-\d\d-\d\d|\b(?:INFO|DEBUG|WARN|WARNING|ERROR|TRACE|PASSED|FAILED)\b|\w::\w|=>|&&|</?\w"
)
"""What a line of a log, of code or of a tool's output looks like. No part of it is tried again from each character."""
