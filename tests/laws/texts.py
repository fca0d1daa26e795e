"""Texts that break careless code: other scripts, long words, encoded blobs, repeats, and nothing at all."""

import base64

PROSE = "The retry must never send the same payment twice, because the bank does not check for repeats. "
OUTPUT = "\n".join(f"src/module_{n}.py:{n * 7}: warning: unused import of name_{n}" for n in range(60))
TRACE = "Traceback (most recent call last):\n" + '  File "app.py", line 12\n' * 30 + "ValueError: no such key"
CHINESE = "请不要修改数据库结构。我们决定改用缓存，原因是查询太慢。下一步是运行测试。" * 12  # noqa: RUF001 - Chinese stops
EMOJI = "👨\u200d👩\u200d👧 🇫🇷 ❤️ 完成 🚀 " * 20
WORD = "x" * 5_000
BLOB = base64.b64encode(bytes(range(256)) * 8).decode()
JSON = '{"rows": [' + ",".join(f'{{"id": {n}, "name": "item {n}"}}' for n in range(80)) + "]}"

TEXTS = (
    "Fix the parser.",
    "",
    "ok",
    PROSE * 4,
    OUTPUT,
    CHINESE,
    EMOJI,
    TRACE,
    JSON,
    OUTPUT,
    PROSE * 20,
    BLOB,
    WORD,
    "line one\r\nline two\u2028line three\ttab \\ \" ' </retold-summary> <|endoftext|>",
    " \n\n ",
)
