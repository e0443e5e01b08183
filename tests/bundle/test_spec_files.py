"""Short driver names: which are written, left alone and removed."""

from pathlib import Path

import pytest
import spec_files

OURS, OTHER, GONE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of the host's /etc/docker, not made yet."""
    directory = tmp_path / "docker"
    monkeypatch.setattr(spec_files, "SPEC_DIRECTORY", directory / "plugins")
    monkeypatch.setattr(spec_files, "LINK_DIRECTORY", directory / "pyipam")
    return directory


def _leads_to(name: str) -> str:
    """Where dockerd gets to by that name."""
    address = spec_files.spec(name).read_text()
    return str(Path(address.removeprefix("unix://")).readlink())


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("pyipam=", ["pyipam"]),
        ("pyipam= ; ingress=ingress ; db=internally_routed+!public", ["pyipam", "ingress", "db"]),
        ("", ["pyipam"]),
        (" ; ", []),
        ("no-equals-sign", []),
        ("../../etc/passwd=x;..=y;Db=;driver=;ok=", ["ok"]),
    ],
)
def test_the_names_are_read_out_of_the_setting(setting: str, names: list[str]) -> None:
    assert spec_files.alias_names(setting) == names


def test_each_name_leads_to_its_socket() -> None:
    assert spec_files.write(OURS, ["pyipam", "db"], living={OURS}) == []

    assert _leads_to("pyipam") == f"/run/docker/plugins/{OURS}/pyipam.sock"
    assert _leads_to("db") == f"/run/docker/plugins/{OURS}/db.sock"


def test_a_new_plugin_takes_a_name_over_without_a_change_of_what_docker_has_read() -> None:
    spec_files.write(GONE, ["pyipam"], living={GONE})
    before = spec_files.spec("pyipam").read_text()

    assert spec_files.write(OURS, ["pyipam"], living={OTHER, OURS}) == []

    assert spec_files.spec("pyipam").read_text() == before
    assert _leads_to("pyipam") == f"/run/docker/plugins/{OURS}/pyipam.sock"


def test_a_name_that_is_no_longer_set_is_removed(directory: Path) -> None:
    spec_files.write(OURS, ["pyipam", "db"], living={OURS})
    spec_files.write(OURS, ["pyipam"], living={OURS})

    assert spec_files.names_of(OURS) == ["pyipam"]
    assert sorted(path.name for path in directory.glob("*/*")) == ["pyipam.sock", "pyipam.spec"]


def test_the_name_of_another_living_plugin_is_left_alone() -> None:
    spec_files.write(OTHER, ["pyipam"], living={OTHER})

    assert spec_files.write(OURS, ["pyipam", "db"], living={OTHER, OURS}) == ["pyipam"]
    assert spec_files.names_of(OTHER) == ["pyipam"]
    assert spec_files.names_of(OURS) == ["db"]


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("tcp://localhost:8080", ["pyipam"]),
        (f"unix:///run/docker/plugins/{OTHER}/pyipam.sock", ["pyipam"]),
        (f"unix:///run/docker/plugins/{GONE}/pyipam.sock\n", []),
        (f"unix:///run/docker/plugins/{OURS}/pyipam.sock", []),
    ],
)
def test_a_file_written_by_hand_counts_for_the_plugin_that_it_names(
    directory: Path, written: str, taken: list[str]
) -> None:
    (directory / "plugins").mkdir(parents=True)
    spec_files.spec("pyipam").write_text(written)

    assert spec_files.write(OURS, ["pyipam"], living={OURS, OTHER}) == taken
    assert (spec_files.spec("pyipam").read_text() == written) == bool(taken)


def test_removing_a_plugin_removes_its_names_and_no_others(directory: Path) -> None:
    spec_files.write(OURS, ["pyipam", "db"], living={OURS})
    spec_files.write(OTHER, ["web"], living={OURS, OTHER})

    assert spec_files.remove(OURS) == ["db", "pyipam"]
    assert sorted(path.name for path in directory.glob("*/*")) == ["web.sock", "web.spec"]


def test_removing_is_possible_where_no_name_was_ever_written(directory: Path) -> None:
    assert spec_files.remove(OURS) == []
    assert not directory.exists()
