"""Short driver names: which are written, left alone and removed."""

from pathlib import Path

import pytest

from pyipam.cli import spec_files
from pyipam.cli.spec_files import SpecFolders, Step

OURS, OTHER, GONE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def folders(tmp_path: Path) -> SpecFolders:
    """Folders in the place of the host's, not made yet."""
    return SpecFolders(tmp_path / "docker/plugins", tmp_path / "docker/pyipam")


def _leads_to(folders: SpecFolders, name: str) -> str:
    """Where dockerd gets to by that name."""
    address = folders.spec(name).read_text()
    return str(Path(address.removeprefix("unix://")).readlink())


def _plugins(*ids: str) -> dict[str, str]:
    return {plugin_id: f"owner/{plugin_id[0]}:latest" for plugin_id in ids}


def _refused(steps: list[Step]) -> list[str]:
    return [step.name for step in steps if step.is_refused]


def _files(folders: SpecFolders) -> list[str]:
    return sorted(path.name for path in folders.specs.parent.glob("*/*"))


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


def test_each_name_leads_to_its_socket(folders: SpecFolders) -> None:
    steps = spec_files.write(folders, OURS, ["pyipam", "db"], living=_plugins(OURS))

    assert _refused(steps) == []
    assert _leads_to(folders, "pyipam") == f"/run/docker/plugins/{OURS}/pyipam.sock"
    assert _leads_to(folders, "db") == f"/run/docker/plugins/{OURS}/db.sock"


def test_a_new_plugin_takes_a_name_over_without_a_change_of_what_docker_has_read(
    folders: SpecFolders,
) -> None:
    spec_files.write(folders, GONE, ["pyipam"], living=_plugins(GONE))
    before = folders.spec("pyipam").read_text()

    steps = spec_files.write(folders, OURS, ["pyipam"], living=_plugins(OTHER, OURS))

    assert _refused(steps) == []
    assert folders.spec("pyipam").read_text() == before
    assert _leads_to(folders, "pyipam") == f"/run/docker/plugins/{OURS}/pyipam.sock"


def test_a_name_that_is_no_longer_set_is_removed(folders: SpecFolders) -> None:
    spec_files.write(folders, OURS, ["pyipam", "db"], living=_plugins(OURS))
    spec_files.write(folders, OURS, ["pyipam"], living=_plugins(OURS))

    assert spec_files.names_of(folders, OURS) == ["pyipam"]
    assert _files(folders) == ["pyipam.sock", "pyipam.spec"]


def test_the_name_of_another_living_plugin_is_left_alone(folders: SpecFolders) -> None:
    spec_files.write(folders, OTHER, ["pyipam"], living=_plugins(OTHER))

    steps = spec_files.write(folders, OURS, ["pyipam", "db"], living=_plugins(OTHER, OURS))

    assert _refused(steps) == ["pyipam"]
    assert spec_files.names_of(folders, OTHER) == ["pyipam"]
    assert spec_files.names_of(folders, OURS) == ["db"]


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
    folders: SpecFolders, written: str, taken: list[str]
) -> None:
    folders.specs.mkdir(parents=True)
    folders.spec("pyipam").write_text(written)

    steps = spec_files.write(folders, OURS, ["pyipam"], living=_plugins(OURS, OTHER))

    assert _refused(steps) == taken
    assert (folders.spec("pyipam").read_text() == written) == bool(taken)


@pytest.mark.parametrize(
    ("plugin", "is_refused"),
    [
        ({"wex" + OTHER[3:]: "owner/other:latest"}, False),
        ({"web" + OTHER[3:]: "owner/other:latest"}, True),
        ({OTHER: "web:latest"}, True),
        ({OTHER: "web:2"}, False),
        ({OTHER: "owner/web:latest"}, False),
    ],
)
def test_a_name_that_docker_takes_for_a_plugin_is_refused(
    folders: SpecFolders, plugin: dict[str, str], is_refused: bool
) -> None:
    steps = spec_files.write(folders, OURS, ["pyipam", "web"], living=_plugins(OURS) | plugin)

    assert _refused(steps) == ["web"] * is_refused
    assert spec_files.names_of(folders, OURS) == ["pyipam", "web"][: 2 - is_refused]


def test_removing_a_plugin_removes_its_names_and_no_others(folders: SpecFolders) -> None:
    spec_files.write(folders, OURS, ["pyipam", "db"], living=_plugins(OURS))
    spec_files.write(folders, OTHER, ["web"], living=_plugins(OURS, OTHER))

    assert spec_files.remove(folders, OURS) == ["db", "pyipam"]
    assert _files(folders) == ["web.sock", "web.spec"]


def test_removing_is_possible_where_no_name_was_ever_written(folders: SpecFolders) -> None:
    assert spec_files.remove(folders, OURS) == []
    assert not folders.specs.parent.exists()
