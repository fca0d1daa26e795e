"""What is so: events are folded into a context; its history is what the model is sent."""

from retold.fold.bodies import Body, Rows, context_body, history_body
from retold.fold.builder import Builder
from retold.fold.calibration import UNTAUGHT, Calibration
from retold.fold.context import (
    Context,
    Entry,
    decode_context,
    encode_context,
    history_hash,
    is_of_this_schema,
    item_hash,
    ledger_of,
    newest_summary,
    request_size,
)
from retold.fold.counting import PRIMING, count_item, count_results
from retold.fold.entries import text_bytes
from retold.fold.extending import is_sealed, open_text
from retold.fold.folding import advance, base_of, fold, in_decision_order, reaches_before, returns_to
from retold.fold.history import History, decode_history, encode_history, history_of, replacement_of
from retold.fold.judging import DUE_SHARE, INEFFECTIVE_GAIN
from retold.fold.returning import inherited
from retold.fold.runs import Run, RunBuilder
from retold.fold.spans import noted, placeholder_entry, spread, summary_entry
from retold.fold.telling import item_text, kind_of
from retold.sizes import Tokens

__all__ = [
    "DUE_SHARE",
    "INEFFECTIVE_GAIN",
    "PRIMING",
    "UNTAUGHT",
    "Body",
    "Builder",
    "Calibration",
    "Context",
    "Entry",
    "History",
    "Rows",
    "Run",
    "RunBuilder",
    "Tokens",
    "advance",
    "base_of",
    "context_body",
    "count_item",
    "count_results",
    "decode_context",
    "decode_history",
    "encode_context",
    "encode_history",
    "fold",
    "history_body",
    "history_hash",
    "history_of",
    "in_decision_order",
    "inherited",
    "is_of_this_schema",
    "is_sealed",
    "item_hash",
    "item_text",
    "kind_of",
    "ledger_of",
    "newest_summary",
    "noted",
    "open_text",
    "placeholder_entry",
    "reaches_before",
    "replacement_of",
    "request_size",
    "returns_to",
    "spread",
    "summary_entry",
    "text_bytes",
]
