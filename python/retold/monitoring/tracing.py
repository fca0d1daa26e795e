"""Where spans go: to the collector that OpenTelemetry's own variables name, if the SDK is installed.

Rules:
- The SDK reads its variables itself (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME``).
- Sending never holds the worker up: spans are sent in batches by a thread, and dropped where that falls behind.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from retold.errors import InputError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_S = 1.5
"""How long what was not sent yet may take at the end; the exporter itself would try again for a minute."""
SERVICE = "retold"


@contextmanager
def tracing(worker: str) -> Iterator[None]:
    """Send spans, as *worker*, where the environment names a collector, until the block ends; else do nothing.

    Raises:
        InputError: if a collector is named, and the SDK is not installed.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED", "") == "true":
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise InputError("expected OpenTelemetry's SDK for the collector: pip install 'retold[otel]'") from None
    named = {"service.instance.id": worker} | ({} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE})
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        ending = threading.Thread(target=provider.shutdown, name="retold-spans", daemon=True)
        ending.start()
        ending.join(FLUSH_S)
