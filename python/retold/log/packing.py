"""Packing: bodies that lie in the store in fewer bytes than they have.

Half of an agent's session is repeated words, and its events, snapshots and histories together must not take much more
room than what was said. So a body from `PACK_BYTES` on is deflated where that saves something, and the message names it
in a header. The chain and every hash are over the body itself, as if it had never been packed.
"""

from retold.log.names import EVENT_BYTES_MAX, PACKED
from retold.wire import Packing

PACK_BYTES = 512
"""Shorter bodies stay as they are: an event of 300 bytes would save a hundred and cost more than its append."""
PACKED_BYTES_MAX = 2 * EVENT_BYTES_MAX
"""No body is larger when unpacked; what claims to be was not packed here."""

DEFLATE = "deflate-1"
"""zlib's form with `WORDS` given before. Another dictionary is another name: this one is needed for ever."""
WORDS = (
    b'\\"old_string\\":\\"\\",\\"new_string\\":\\"\\n    \\"description\\":\\"\\"pattern\\":\\"\\"path\\":\\"'
    b"    return self.\\n\\n    def __init__(self, import from error Error: function (err error) { if err != nil { "
    b"return nil \\n\\t\\t the of and to in is that for with you this have not are"
    b'"is_error":true}}}"kind":"custom","group":"msg_"group":"resp_","extra":"{\\"chat\\":{\\"'
    b'"data":{"input_tokens":,"output_tokens":,"cached_tokens":,"model":"gpt-"claude-'
    b'"data":{"item":{"type":"reasoning","text":"","form":"responses","body":"{\\"type\\":\\"thinking\\",\\"thinking\\":\\"'
    b'"data":{"item":{"type":"message","role":"user","content":[{"type":"text","text":"'
    b'"}],"id":"","extra":"{\\"chat\\":{'
    b'"data":{"item":{"type":"tool_result","call_id":"toolu_01","content":[{"type":"text","text":"'
    b'"}],"id":"","kind":"function"}}}'
    b'{"v":1,"id":"01a","tenant":"default","session":"","seq":1,"at":"2026-01-01T00:00:00.000000Z","type":"ItemAppended",'
    b'"actor":"agent","cause":null,"prev":"0123456789abcdef","data":{"item":{"type":"tool_call","call_id":"call_",'
    b'"name":"exec_command","arguments":"{\\"cmd\\":\\"{\\"command\\":\\"{\\"file_path\\":\\"/Users/'
)
"""What events of agents mostly hold: a fifth of what a short one takes packed without it."""
PACKING = Packing(WORDS, PACK_BYTES, PACKED_BYTES_MAX)
"""How bodies are packed, by whoever packs them."""
_WORDLESS = Packing(b"", PACK_BYTES, PACKED_BYTES_MAX)


def pack(body: bytes, headers: dict[str, str]) -> bytes:
    """Return what is stored for *body*: itself, or fewer bytes, which *headers* then name. 10 to 20 ns a byte."""
    packed = PACKING.pack(body)
    if packed is None:
        return body
    headers[PACKED] = DEFLATE
    return packed


def unpack(stored: bytes, headers: dict[str, str]) -> bytes:
    """Return the body that `pack` was given. What cannot be unpacked is returned as it is: its hash will not hold."""
    if headers.get(PACKED) != DEFLATE:
        return stored
    return PACKING.unpack(stored) or stored


def inflate(packed: bytes) -> bytes | None:
    """Return what was deflated without words; None if it is damaged, or larger than `PACKED_BYTES_MAX`."""
    return _WORDLESS.unpack(packed)
