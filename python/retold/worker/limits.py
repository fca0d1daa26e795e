"""What one worker may take: memory for live sessions, models at once, and how much of them a tenant."""

from msgspec import Struct

LIVE_BYTES_MAX = 512 * 1024 * 1024
"""What live sessions may take, as they are estimated (`retold.worker.holding`); the process itself takes 80 MB."""

SUMMARY_TIMEOUT_S = 120.0
"""Whoever is asked for a summary and takes longer, waiting for a place included, has failed."""

MODELS_AT_ONCE = 16
"""How many models are asked at once: providers count requests, and each holds a connection and a prompt in memory."""

MODELS_WAITING_MAX = 256
"""How many sessions may wait for a model; each is held in memory meanwhile. What is more is extracted at once."""


class Limits(Struct, frozen=True, kw_only=True):
    """Bound one worker; what a tenant has beyond its budget is summarised by extraction, at once.

    Attributes:
        live_bytes: what live sessions may take in memory; the one that was idle longest is dropped, with a snapshot.
        summary_timeout_s: how long a summary may take in seconds, waiting for a place included; then it is extracted.
        models_at_once: how many models are asked at once; others wait, tenants in turn.
        tenant_models_at_once: how many of them may be one tenant's; 0: all.
        tenant_calls_a_minute: how many summaries a tenant may have written by a model within a minute; 0: any number.
        tenant_tokens_a_minute: how many tokens these may take, by our count until the provider says; 0: any number.
    """

    live_bytes: int = LIVE_BYTES_MAX
    summary_timeout_s: float = SUMMARY_TIMEOUT_S
    models_at_once: int = MODELS_AT_ONCE
    tenant_models_at_once: int = 0
    tenant_calls_a_minute: int = 0
    tenant_tokens_a_minute: int = 0
