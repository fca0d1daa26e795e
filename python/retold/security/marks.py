"""What is read as more than text, made plain: marks of ours, of chat templates and of pages; hidden characters.

Nothing is taken out that can be seen, and what is plain already stays, so that a line is the same after every
compaction.
"""

import re
import unicodedata

from retold.screening import folded, sound

_HIDDEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|[\ufe00-\ufe0e\U000e0100-\U000e01ef]{2,}"
    "|(?<=[\x21-\x7e])[\u200c\u200d]+(?=[\x21-\x7e])"
)
"""No writing needs these to be read; joiners are needed, but not between Latin letters."""
_CONTROL = re.compile(
    "\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\-_])?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""Orders to a terminal, and control characters but tab and line break."""

_OPENING = "<\uff1c\ufe64\u2039\u3008\u27e8\u02c2\u1438\u276e\u2329\u29fc"
_LESS = re.compile(f"[{_OPENING}]")
_OURS = re.compile(r"\W{0,3}retold\W{0,2}(?:summary|compressed|quoted|placeholder|offloaded|omitted)?")
_NAME_CHARACTERS = 60

_TEMPLATE = re.compile(
    r"<(?=[|\uff5c]|/?s>|/?(?:start|end)_of_turn>|bos>|eos>|pad>|<SYS>>|</SYS>>|/?(?:antml:)?(?:function_calls|function_results|invoke|tool_use|"
    r"tool_result|tool_call|tool_response|thinking|think|system|system-reminder|INFORMATION|information)\b)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"<(?=/?(?:script|iframe|object|embed|svg)\b)|<(?=[a-z]{1,10}\b[^>]{0,200}\bon[a-z]{3,20}\s*=)"
    r"|(?<=\!)\[(?=[^\]\n]{0,200}\]\(\s*(?:https?:)?//)|(?<=\!)\[(?=[^\]\n]{0,200}\]\[)"
    r"|(?<=\[)(?=[^\]\n]{1,200}\]:\s*(?:https?:)?//)",
    re.IGNORECASE,
)
_PLAIN = {"<": "&lt;", "[": "&#91;", "": "\\"}


def without_hidden(text: str) -> str:
    """Return *text* without characters that cannot be seen and orders to terminals. O(characters)."""
    return _CONTROL.sub("", _HIDDEN.sub("", text)) if not text.isascii() else _CONTROL.sub("", text)


def without_own_marks(text: str) -> str:
    """Return *text* with our own marks made plain, however their letters are disguised. O(characters)."""
    if not _LESS.search(text):
        return text
    return _LESS.sub(lambda found: "&lt;" if _is_ours(text, found.end()) else found[0], text)


def neutral(text: str) -> str:
    """Return *text* without what is read as more than text; all that can be seen is still there. O(characters)."""
    plain = without_own_marks(without_hidden(text))
    return _PAGE.sub(_made_plain, _TEMPLATE.sub(_made_plain, plain))


def escaped(text: str) -> str:
    """Return *text*, which is JSON, with every such mark as an escape: it reads back as it was. O(characters)."""
    shown = _TEMPLATE.sub(_escape, text)
    shown = _LESS.sub(lambda found: _escape(found) if _is_ours(shown, found.end()) else found[0], shown)
    return shown if shown.isascii() else _HIDDEN.sub(_escape, shown)


def _made_plain(found: re.Match[str]) -> str:
    return _PLAIN[found[0]]


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _is_ours(text: str, at: int) -> bool:
    """Return whether one of our names follows at *at*, in whatever letters."""
    name = "".join(
        one for one in text[at : at + _NAME_CHARACTERS] if unicodedata.category(one) not in ("Cf", "Mn", "Zs")
    )
    return _OURS.match(folded(sound(name)).replace(" ", "")) is not None
