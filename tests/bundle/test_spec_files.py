"""Short driver names: which files are written, left alone and removed."""

from pathlib import Path

import pytest
import spec_files

OURS, OTHER, GONE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of the host's, not made yet."""
    monkeypatch.setattr(spec_files, "SPEC_DIRECTORY", tmp_path / "docker/plugins")
    return tmp_path / "docker/plugins"


def _specs(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("pyipam=", ["pyipam"]),
        ("pyipam= ; ingress=ingress ; db=internally_routed+!public", ["pyipam", "ingress", "db"]),
        ("", []),
        (" ; ", []),
        ("no-equals-sign", []),
        ("../../etc/passwd=x;..=y;ok=", ["ok"]),
    ],
)
def test_the_names_are_read_out_of_the_setting(setting: str, names: list[str]) -> None:
    assert spec_files.alias_names(setting) == names


def test_each_name_gets_a_file_that_leads_to_its_socket(directory: Path) -> None:
    taken = spec_files.write(OURS, ["pyipam", "db"], living={OURS})

    assert taken == []
    assert _specs(directory) == {
        "pyipam.spec": f"unix:///run/docker/plugins/{OURS}/pyipam.sock",
        "db.spec": f"unix:///run/docker/plugins/{OURS}/db.sock",
    }


def test_a_name_that_is_no_longer_set_loses_its_file(directory: Path) -> None:
    spec_files.write(OURS, ["pyipam", "db"], living={OURS})
    spec_files.write(OURS, ["pyipam"], living={OURS})

    assert list(_specs(directory)) == ["pyipam.spec"]


def test_the_name_of_another_living_plugin_is_left_alone(directory: Path) -> None:
    spec_files.write(OTHER, ["pyipam"], living={OTHER})

    assert spec_files.write(OURS, ["pyipam", "db"], living={OTHER, OURS}) == ["pyipam"]
    assert _specs(directory)["pyipam.spec"] == spec_files.address(OTHER, "pyipam")
    assert _specs(directory)["db.spec"] == spec_files.address(OURS, "db")


def test_the_name_of_a_plugin_that_is_gone_is_taken_over(directory: Path) -> None:
    spec_files.write(GONE, ["pyipam"], living={GONE})

    assert spec_files.write(OURS, ["pyipam"], living={OTHER, OURS}) == []
    assert _specs(directory)["pyipam.spec"] == spec_files.address(OURS, "pyipam")


def test_a_file_that_leads_to_something_else_is_left_alone(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "pyipam.spec").write_text("tcp://localhost:8080")

    assert spec_files.write(OURS, ["pyipam"], living={OURS}) == ["pyipam"]
    assert _specs(directory) == {"pyipam.spec": "tcp://localhost:8080"}


def test_removing_a_plugin_removes_its_files_and_no_others(directory: Path) -> None:
    spec_files.write(OURS, ["pyipam", "db"], living={OURS})
    spec_files.write(OTHER, ["web"], living={OURS, OTHER})

    assert spec_files.remove(OURS) == ["db", "pyipam"]
    assert list(_specs(directory)) == ["web.spec"]


def test_removing_is_possible_where_no_file_was_ever_written(directory: Path) -> None:
    assert spec_files.remove(OURS) == []
    assert not directory.exists()
