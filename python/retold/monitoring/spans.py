"""Traces: the names of spans and attributes, in one place, for OpenTelemetry's GenAI conventions still change.

Rules:
- Only the API of OpenTelemetry is used. Without an SDK in the process a span costs a microsecond and goes nowhere.
- No text of a conversation is ever an attribute: not of what was compacted, nor of what was written.
"""

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from retold.events import HistoryReplaced, SummaryWritten
from retold.fold import Context
from retold.policy import Decision, tier_of

COMPACT = "compact"
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
CONVERSATION = "gen_ai.conversation.id"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
ERROR = "error.type"
TENANT = "retold.tenant"
POLICY = "retold.policy"
STRATEGY = "retold.compaction.strategy"
OUTCOME = "retold.compaction.outcome"
TOKENS_BEFORE = "retold.compaction.tokens_before"
TOKENS_AFTER = "retold.compaction.tokens_after"
TARGET_TOKENS = "retold.compaction.target_tokens"
VERSION = "retold.compaction.version"
BASE_SEQ = "retold.compaction.base_seq"
ENTRIES = "retold.compaction.entries_covered"
SUMMARIZER = "retold.compaction.summarizer"

_PROVIDERS = {"openai-responses": "openai", "openai-chat": "openai", "openai-remote": "openai"}


def start_compaction(context: Context, decision: Decision) -> Span:
    """Return the span of a compaction, which is to be ended."""
    attributes: dict[str, AttributeValue] = {
        CONVERSATION: context.key.session,
        TENANT: context.key.tenant,
        POLICY: context.policy,
        STRATEGY: tier_of(decision),
        BASE_SEQ: context.seq,
        TOKENS_BEFORE: context.tokens.upper,
        TARGET_TOKENS: decision.target_tokens,
    }
    return _tracer().start_span(COMPACT, attributes=attributes, kind=SpanKind.INTERNAL)


def tell_replaced(span: Span, replaced: HistoryReplaced, written: SummaryWritten | None) -> None:
    """Put on *span* what the compaction came to."""
    receipt = replaced.receipt
    covered = (*receipt.offloaded, *receipt.summarised, *receipt.dropped, *receipt.cut)
    attributes: dict[str, AttributeValue] = {
        STRATEGY: replaced.tier,
        TOKENS_AFTER: receipt.tokens_after,
        VERSION: replaced.version,
        ENTRIES: len(covered),
    }
    if written is not None:
        attributes[SUMMARIZER] = written.summarizer
    span.set_attributes(attributes)


def start_chat(name: str, context: Context, *, within: Span | None) -> Span:
    """Return the span of a model's call for the session of *context*, inside of *within*; it is to be ended."""
    kind, _, model = name.partition(":")
    attributes: dict[str, AttributeValue] = {
        OPERATION: "chat",
        PROVIDER: _PROVIDERS.get(kind, kind),
        REQUEST_MODEL: model or kind,
        CONVERSATION: context.key.session,
        TENANT: context.key.tenant,
    }
    parent = None if within is None else trace.set_span_in_context(within)
    return _tracer().start_span(f"chat {model or kind}", parent, SpanKind.CLIENT, attributes)


def tell_usage(span: Span, *, input_tokens: int, output_tokens: int) -> None:
    """Put on *span* what the provider counted; 0 is not known."""
    counted = {INPUT_TOKENS: input_tokens, OUTPUT_TOKENS: output_tokens}
    span.set_attributes({name: count for name, count in counted.items() if count})


def fail(span: Span, kind: str) -> None:
    """Mark *span* as failed by an error of *kind*; its text is left out, for it may quote the conversation."""
    span.set_attribute(ERROR, kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def _tracer() -> trace.Tracer:
    return trace.get_tracer("retold")
