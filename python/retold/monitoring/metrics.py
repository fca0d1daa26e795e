"""The metrics that a worker exports: the one table of their names, and what registers them.

Rules:
- Names end in their unit: ``_seconds``, ``_bytes``, ``_tokens``; what only grows ends in ``_total``.
- No label holds a session or a tenant: both are unbounded. Every label's values are listed, or come from the settings.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from platform import python_version
from typing import Literal, get_args

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from retold.events import Tier

SHORT_SECONDS = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""From an append to its history: 15 and 100 ms are what is promised for half and for 99 in 100."""
LONG_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84)
"""OpenTelemetry's for what a model does, up to above the time that a summarizer is given."""

Kind = Literal["counter", "gauge", "histogram"]
Counts = Callable[[], Mapping[tuple[str, ...], float]]


class Metric(Struct, frozen=True):
    """Describe one metric.

    Attributes:
        text: what it counts or measures, as ``# HELP`` says it.
        labels: the names of its labels.
        buckets: the upper bounds of a histogram.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: tuple[Metric, ...] = (
    Metric("retold_build_info", "gauge", "1, with the release and Python's.", ("version", "python")),
    Metric("retold_worker_info", "gauge", "1, with the worker's name.", ("worker",)),
    Metric("retold_ready", "gauge", "Whether /readyz says ready."),
    Metric("retold_state", "gauge", "Whether the state holds.", ("state",)),
    Metric("retold_events_folded_total", "counter", "Events that were read and folded."),
    Metric("retold_lag_events", "gauge", "Events known to wait; of a session not read before, one."),
    Metric("retold_lag_sessions", "gauge", "Sessions with events that wait."),
    Metric("retold_lag_seconds", "gauge", "How long the session has waited that waits longest."),
    Metric("retold_sessions_live", "gauge", "Sessions held folded in memory."),
    Metric("retold_sessions_quarantined", "gauge", "Sessions this worker set aside: damaged, or without their key."),
    Metric("retold_dead_letters", "gauge", "Dead letters in the log, by what they are of.", ("of",)),
    Metric("retold_compactions_total", "counter", "Compactions.", ("tier", "outcome")),
    Metric("retold_compaction_seconds", "histogram", "From the decision to its record.", ("tier",), LONG_SECONDS),
    Metric("retold_compaction_before_tokens_total", "counter", "Tokens of what was replaced.", ("tier",)),
    Metric("retold_compaction_after_tokens_total", "counter", "Tokens of what replaced it.", ("tier",)),
    Metric("retold_summarizer_calls_total", "counter", "Summaries that were asked for.", ("summarizer",)),
    Metric("retold_summarizer_failures_total", "counter", "Of these, that failed.", ("summarizer", "reason")),
    Metric("retold_summarizer_seconds", "histogram", "How long they took.", ("summarizer",), LONG_SECONDS),
    Metric("retold_summarizer_tokens_total", "counter", "What the provider counted.", ("summarizer", "direction")),
    Metric("retold_histories_published_total", "counter", "Replacement histories that were published."),
    Metric(
        "retold_append_to_published_seconds",
        "histogram",
        "From the append that a compaction was due at to its published history.",
        (),
        SHORT_SECONDS,
    ),
    Metric("retold_conflicts_total", "counter", "Writes that were tried again because somebody else wrote first."),
    Metric("retold_leases_held", "gauge", "Partitions that this worker holds."),
    Metric("retold_broker_up", "gauge", "Whether there is a connection to the broker."),
    Metric("retold_broker_reconnects_total", "counter", "How often the connection was made again."),
    Metric("retold_broker_faults_total", "counter", "What went wrong with the broker.", ("fault",)),
    Metric("retold_broker_storage_bytes", "gauge", "What the broker stores for this account."),
)
"""All of them. Dashboards and alerts are checked against this table (`exported_names`)."""

OUTCOMES = ("replaced", "failed", "abandoned")
COUNTED_ELSEWHERE = frozenset(
    {"retold_events_folded_total", "retold_broker_reconnects_total", "retold_broker_faults_total"}
)
"""What is counted where it happens, and read from there at each scrape (`Metrics.read_from`): a counter of the client
library takes a lock and 2 µs, which is much for each pass over a session."""
_BY_NAME = {metric.name: metric for metric in METRICS}
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
PROCESS_NAMES = frozenset(
    {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
        "python_info",
    }
)
"""What prometheus-client says of the process."""


def exported_names() -> frozenset[str]:
    """Return every name that an expression may use: those of histograms with their suffixes."""
    own = {metric.name + suffix for metric in METRICS for suffix in _SUFFIXES[metric.kind]}
    return frozenset(own) | PROCESS_NAMES


class Metrics:
    """Register the table with a registry of its own, and give what is in it by name."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._counters = {
            metric.name: _counter(metric, self.registry)
            for metric in _of("counter")
            if metric.name not in COUNTED_ELSEWHERE
        }
        self._gauges = {metric.name: _gauge(metric, self.registry) for metric in _of("gauge")}
        self._histograms = {metric.name: _histogram(metric, self.registry) for metric in _of("histogram")}
        self.version = version("retold")
        for tier in get_args(Tier):
            for outcome in OUTCOMES:  # an alert must see the step from none to one
                self.counter("retold_compactions_total", tier=tier, outcome=outcome)
        self.gauge("retold_build_info", version=self.version, python=python_version()).set(1)

    def counter(self, name: str, **labels: str) -> Counter:
        """Return the counter *name* of the table, for these *labels*."""
        found = self._counters[name]
        return found.labels(**labels) if labels else found

    def gauge(self, name: str, **labels: str) -> Gauge:
        """Return the gauge *name* of the table, for these *labels*."""
        found = self._gauges[name]
        return found.labels(**labels) if labels else found

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return the histogram *name* of the table, for these *labels*."""
        found = self._histograms[name]
        return found.labels(**labels) if labels else found

    def read_from(self, name: str, read: Counts) -> None:
        """Export what *read* gives as the counter *name* of the table: counts by the values of its labels."""
        assert name in COUNTED_ELSEWHERE, name
        self.registry.register(_Elsewhere(_BY_NAME[name], read))

    def total(self, name: str) -> float:
        """Return the sum of the counter *name* over all its labels."""
        return sum(
            sample.value
            for family in self._counters[name].collect()
            for sample in family.samples
            if sample.name == name
        )


class _Elsewhere(Collector):
    """Read one counter from where it is counted."""

    def __init__(self, metric: Metric, read: Counts) -> None:
        self._metric = metric
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Yield the counter with a sample for each of its labels' values."""
        family = CounterMetricFamily(self._metric.name, self._metric.text, labels=self._metric.labels)
        for labels, count in self._read().items():
            family.add_metric(labels, count)
        yield family


def _of(kind: Kind) -> Iterable[Metric]:
    return (metric for metric in METRICS if metric.kind == kind)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.text, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.text, metric.labels, registry=registry)


def _histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.text, metric.labels, registry=registry, buckets=metric.buckets)
