"""The history goes with an export and comes back by an import, which does not trust it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyipam.cli.main import main
from pyipam.history import segments
from pyipam.transfer import past
from tests.support.in_process import InProcess

SCHEMA = json.dumps(
    {
        "schema_version": 1,
        "scopes": [{"network": "10.0.0.0", "prefix": 16, "child_prefix": 24, "tags": ["default"]}],
    }
)


def home(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The state folder of a plugin that made a pool and gave two addresses."""
    folder = home(tmp_path, "source")
    plugin = InProcess(folder, SCHEMA)
    body = {"AddressSpace": "local", "Pool": "", "Options": {}, "V6": False}
    made = plugin.call("RequestPool", body).json()["PoolID"]
    for _ in range(2):
        plugin.call("RequestAddress", {"PoolID": made, "Address": "", "Options": {}})
    plugin.stop()
    return folder / "state"


@pytest.fixture
def file(source: Path, tmp_path: Path) -> Path:
    """An export of it."""
    file = tmp_path / "export.json"
    assert main(["export", "--state", str(source), str(file)]) == 0
    return file


def imported(file: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    """The history, the oldest first, of a plugin into whose state the file was imported."""
    (folder / "state").mkdir(exist_ok=True)
    assert main(["import", "--state", str(folder / "state"), *options, str(file)]) == 0
    plugin = InProcess(folder, SCHEMA)
    found: list[dict[str, Any]] = plugin.get("/v1/history")
    plugin.stop()
    return found[::-1]


def test_an_import_brings_the_history_along_and_says_that_it_did(
    file: Path, tmp_path: Path
) -> None:
    found = imported(file, home(tmp_path, "target"))

    assert [item["event"] for item in found] == ["made", "given", "given"]
    assert all(item["imported"] for item in found)


def test_importing_twice_adds_nothing(file: Path, tmp_path: Path, source: Path) -> None:
    target = home(tmp_path, "target")

    assert imported(file, target) == imported(file, target, "--force")
    assert not any(item["imported"] for item in imported(file, source.parent, "--force"))


def test_what_is_no_entry_is_left_out_and_the_plan_is_imported(file: Path, tmp_path: Path) -> None:
    document = json.loads(file.read_text())
    entry = document["history"][1]
    document["history"] += [
        None,
        {},
        entry | {"address": "192.0.2.1"},
        entry | {"event": "stolen"},
        entry | {"pool": "somewhere"},
        entry | {"time": -1},
        entry | {"time": 1e15},
        entry | {"time": True, "epoch": "1"},
        entry | {"named": "yes"},
        entry | {"label": ["x"]},
    ]
    file.write_text(json.dumps(document))

    assert len(imported(file, home(tmp_path, "target"))) == 3


def test_more_than_the_history_has_room_for_leaves_the_latest(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(segments, "MAX_SEGMENT_BYTES", 2000)
    monkeypatch.setattr(segments, "MAX_SEGMENTS", 3)
    document = json.loads(file.read_text())
    entry = document["history"][1]
    document["history"] = [entry | {"time": 1000.0 + number} for number in range(500)]
    file.write_text(json.dumps(document))
    target = home(tmp_path, "target")

    found = imported(file, target)

    sizes = [path.stat().st_size for path in (target / "state" / "history").iterdir()]
    assert (len(sizes), max(sizes) <= 2000) == (3, True)
    assert found[-1]["time"] == 1499.0
    assert f"the history has {len(found)} more entries" in capsys.readouterr().err


def test_an_entry_that_is_too_long_to_be_read_is_left_out(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(file.read_text())
    document["history"][0]["tags"] = "x" * 100_000
    file.write_text(json.dumps(document))
    target = home(tmp_path, "target")

    assert [item["event"] for item in imported(file, target)] == ["given", "given"]
    assert "the history has 2 more entries" in capsys.readouterr().err
    assert sum(path.stat().st_size for path in (target / "state" / "history").iterdir()) < 2000


def test_histories_keep_their_order_where_a_clock_was_set_back(file: Path, tmp_path: Path) -> None:
    document = json.loads(file.read_text())
    made, given, _ = document["history"]
    document["history"] = [made | {"time": 2000.0}, given | {"time": 1000.0}]
    file.write_text(json.dumps(document))

    assert [x["time"] for x in imported(file, home(tmp_path, "target"))] == [2000.0, 1000.0]


@pytest.mark.parametrize("history", [None, 17, "text", {}, []])
def test_a_history_that_is_none_is_no_obstacle(file: Path, tmp_path: Path, history: object) -> None:
    document = json.loads(file.read_text())
    document["history"] = history
    file.write_text(json.dumps(document))

    assert imported(file, home(tmp_path, "target")) == []


def test_a_file_without_a_history_is_imported(file: Path, tmp_path: Path) -> None:
    document = json.loads(file.read_text())
    del document["history"]
    file.write_text(json.dumps(document))

    assert imported(file, home(tmp_path, "target")) == []


def test_a_history_that_cannot_be_written_leaves_the_import_as_it_is(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "history")

    monkeypatch.setattr(past, "append_lines", fail)

    assert imported(file, home(tmp_path, "target")) == []
    assert "the history of the file was left out: history: No space left" in capsys.readouterr().err
