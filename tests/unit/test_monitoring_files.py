"""The alerts and the dashboard of docs/monitoring ask for metrics that the plugin has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.in_process import InProcess

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
FILES = ("alerts.yml", "alerts.test.yml", "dashboard.json", "README.md")

_METRIC = re.compile(r"\b(?:pyipam|process)_[a-z_]+\b")
_LABEL = re.compile(r'\b(outcome|state|about|call)(?:!?=~?)"([^"$]+)"')
_SCHEMA = (
    '{"schema_version": 1, "scopes": [{"network": "10.0.0.0", "prefix": 8, "child_prefix": 16, '
    '"node_prefix": 12}]}'
)


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The names of all samples, and the values of each label."""
    plugin = InProcess(tmp_path_factory.mktemp("home"), _SCHEMA)
    text = plugin.answer("GET", "/metrics").body.decode()
    plugin.stop()
    found: dict[str, set[str]] = {"": set()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[""].add(sample.name)
            for label, value in sample.labels.items():
                found.setdefault(label, set()).add(value)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_metric_that_is_named_is_exposed(name: str, exposed: dict[str, set[str]]) -> None:
    named = set(_METRIC.findall((FOLDER / name).read_text()))

    families = {re.sub("_(bucket|sum|count)$", "", sample) for sample in exposed[""]}
    assert named, f"{name} names no metric"
    assert named <= exposed[""] | families


def test_every_metric_of_the_plugin_is_described(exposed: dict[str, set[str]]) -> None:
    described = set(_METRIC.findall((FOLDER / "README.md").read_text()))

    own = {re.sub("_(bucket|sum|count)$", "", name) for name in exposed[""] if "pyipam_" in name}
    assert own <= described


@pytest.mark.parametrize("name", FILES)
def test_every_value_of_a_label_that_is_named_is_exposed(
    name: str, exposed: dict[str, set[str]]
) -> None:
    text = (FOLDER / name).read_text().replace('\\"', '"')

    for label, value in _LABEL.findall(text):
        assert value in exposed[label], f'{name}: {label}="{value}"'


def test_every_alert_is_tested() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text()))
    tests = (FOLDER / "alerts.test.yml").read_text()

    raised = set(re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts", tests))
    silent = set(re.findall(r"- \{alertname: (\w+),", tests))
    assert raised == alerts
    assert silent == alerts


def test_the_dashboard_has_a_panel_for_every_metric_of_the_plugin(
    exposed: dict[str, set[str]],
) -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])

    own = {re.sub("_(bucket|sum|count)$", "", name) for name in exposed[""] if "pyipam_" in name}
    assert {name for name in own if name not in asked} == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
