"""The dashboard and the alerts that are shipped, held against what a worker exports and what the runbook says."""

import json
import re
from pathlib import Path

import pytest
import yaml

from retold.log.faults import FAULT_NAMES
from retold.monitoring.metrics import METRICS, exported_names

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRAPED = frozenset({"up"})
"""What Prometheus itself says of a target."""


def _alerts() -> dict[str, dict[str, str]]:
    """Return the alerts by name: their expressions and annotations."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
    return {rule["alert"]: {"expr": rule["expr"], **rule["annotations"]} for rule in rules}


def _dashboard() -> list[str]:
    panels = json.loads((DEPLOY / "grafana" / "retold.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def _scaling() -> list[str]:
    template = (DEPLOY / "helm" / "retold" / "templates" / "scaledobject.yaml").read_text()
    return re.findall(r'printf "((?:sum|max)\([^"]*)"', template)


def names_in(expression: str) -> set[str]:
    """Return the metrics that *expression* names."""
    without_labels = re.sub(r"\{[^}]*\}|\bby \([^)]*\)|\[[^\]]*\]", "", expression)
    words = re.findall(r"\b[a-z_][a-z0-9_]*\b", without_labels)
    return {word for word in words if "_" in word or word in SCRAPED} - {"histogram_quantile", "count_over_time"}


@pytest.mark.parametrize("expressions", [_dashboard(), [one["expr"] for one in _alerts().values()], _scaling()])
def test_every_expression_names_metrics_that_a_worker_exports(expressions: list[str]) -> None:
    """No panel is empty, no alert silent and no scaler blind because a metric is called otherwise."""
    named = {name for expression in expressions for name in names_in(expression)}
    assert len(named) >= 2
    assert named <= exported_names() | SCRAPED


def test_a_metric_that_is_not_exported_is_found() -> None:
    """The names are read out of an expression, its labels, functions and groupings left out."""
    expression = 'histogram_quantile(0.9, sum by (le, a_label) (rate(retold_x_bucket{tier="a_b"}[5m]))) > up{job="c_d"}'
    assert names_in(expression) == {"retold_x_bucket", "up"}


def test_the_dashboard_shows_every_metric_of_retold() -> None:
    """What a worker exports can be seen, but for what only says who it is."""
    shown = {name.removesuffix("_bucket") for expression in _dashboard() for name in names_in(expression)}
    identity = {"retold_build_info", "retold_worker_info", "retold_state"}
    assert {metric.name for metric in METRICS} - identity <= shown


def test_the_faults_in_the_alerts_are_those_that_are_counted() -> None:
    """An alert on a fault names one that the log can note."""
    asked = [re.findall(r'fault=~?"([^"]*)"', alert["expr"]) for alert in _alerts().values()]
    named = {fault for one in asked for faults in one for fault in faults.split("|")}
    assert named
    assert named <= set(FAULT_NAMES)


def test_every_alert_has_a_section_in_the_runbook() -> None:
    """Whoever is woken finds what to do, and no section is left of an alert that is gone."""
    sections = re.findall(r"^## (\w+)$", (DEPLOY / "RUNBOOK.md").read_text(), flags=re.MULTILINE)
    assert sections == list(_alerts())
    for name, alert in _alerts().items():
        assert alert["runbook"] == f"deploy/RUNBOOK.md#{name.lower()}"
