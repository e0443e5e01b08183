"""What promtool of Prometheus says of docs/monitoring and of /metrics."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.bundle.building import ROOT
from tests.support.engine.chroots import Say, ensure_program
from tests.support.in_process import InProcess

FOLDER = ROOT / "docs" / "monitoring"
SCHEMA = (
    '{"schema_version": 1, "scopes": [{"network": "10.0.0.0", "prefix": 8, "child_prefix": 16, '
    '"node_prefix": 12}]}'
)


@pytest.fixture(scope="module")
def promtool(say: Say) -> Path:
    """The program; it needs no installation."""
    return ensure_program("promtool", "prometheus", say)


def told(*command: str | Path, cwd: Path = FOLDER, given: str = "") -> str:
    """What a command that succeeds prints."""
    done = subprocess.run(
        command, cwd=cwd, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_alerts_can_be_read(promtool: Path) -> None:
    assert "SUCCESS" in told(promtool, "check", "rules", "alerts.yml")


def test_the_alerts_are_raised_when_they_should_and_not_otherwise(promtool: Path) -> None:
    assert "SUCCESS" in told(promtool, "test", "rules", "alerts.test.yml")


def test_the_metrics_keep_to_the_conventions(promtool: Path, tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, SCHEMA)
    text = plugin.answer("GET", "/metrics").body.decode()
    plugin.stop()

    assert told(promtool, "check", "metrics", given=text) == ""
