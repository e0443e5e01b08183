"""Building the bundle: the same inputs give the same bytes, and the stamp names the inputs."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from bundle_tar import read_stamp

from pyipam import __version__
from tests.bundle.building import ROOT, build, copy_sources
from tests.bundle.rootfs import Rootfs

_PINNED = re.compile(r"^([a-z0-9-]+)==([0-9.]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place that a bundle was built in: sources, output, temporary."""
    place = tmp_path_factory.mktemp("place")
    copy_sources(place / "sources")
    (place / "temporary").mkdir()
    (place / "output").mkdir()
    build(place / "sources", place / "output/plugin.tar", TMPDIR=str(place / "temporary"))
    return place


def test_two_builds_are_identical_whatever_surrounds_them(place: Path, tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "quite another place")
    for file in sources.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))

    umask = os.umask(0o077)
    try:
        build(sources, tmp_path / "plugin.tar", TZ="Asia/Tokyo", LANG="tr_TR")
    finally:
        os.umask(umask)

    ours = (place / "output/plugin.tar").read_bytes()
    assert (tmp_path / "plugin.tar").read_bytes() == ours


def test_a_build_leaves_nothing_behind_but_its_output(place: Path, tmp_path: Path) -> None:
    untouched = copy_sources(tmp_path / "untouched")

    assert _files(place / "sources") == _files(untouched)
    assert _files(place / "temporary") == []
    assert _files(place / "output") == [Path("plugin.tar")]


def _files(directory: Path) -> list[Path]:
    return sorted(path.relative_to(directory) for path in directory.rglob("*"))


def test_any_change_of_the_program_changes_the_stamp(place: Path, tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    with (sources / "plugin/pyipam/errors.py").open("a") as file:
        file.write("# changed\n")

    build(sources, tmp_path / "plugin.tar")

    before = read_stamp(place / "output/plugin.tar")["contents"]
    assert read_stamp(tmp_path / "plugin.tar")["contents"] != before


def test_a_build_without_a_usable_route_ends_with_a_sentence(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "mktemp", "rm", "touch"):
        program = shutil.which(name)
        assert program
        (programs / name).symlink_to(program)

    done = subprocess.run(
        [ROOT / "rootfs-build/bundle", tmp_path / "plugin.tar"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(programs)},
    )

    assert done.returncode == 1
    assert done.stderr == (
        "bundle: this machine has neither apt and dpkg nor a docker client; install one of them\n"
    )


def test_an_unknown_route_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "rootfs-build/bundle", tmp_path / "plugin.tar"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BUNDLE_ROUTE": "podman"},
    )

    assert done.returncode == 1
    assert done.stderr == "bundle: BUNDLE_ROUTE is podman; it must be native or docker\n"


def test_the_stamp_names_version_machine_packages_and_wheels(stamp: dict[str, Any]) -> None:
    assert stamp["version"] == __version__
    assert stamp["machine"] == os.uname().machine
    assert {"libc6", "zlib1g", "libexpat1"} < stamp["packages"].keys()
    for entry in (*stamp["packages"].values(), *stamp["wheels"].values()):
        assert entry["version"]
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"])


def test_the_program_says_the_version_of_the_stamp(rootfs: Rootfs, stamp: dict[str, Any]) -> None:
    assert rootfs.python("import pyipam; print(pyipam.__version__)") == stamp["version"]


def test_the_wheels_are_those_that_the_project_pins(stamp: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = dict(_PINNED.findall("\n".join(project["optional-dependencies"]["plugin"])))

    # The name of a wheel's file has an underscore for each hyphen (PEP 427).
    wheels = {name.replace("_", "-"): each["version"] for name, each in stamp["wheels"].items()}
    assert wheels == required


def test_requirements_and_project_pin_the_same_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = (ROOT / "rootfs-build/requirements.txt").read_text()

    pinned = "\n".join(project["optional-dependencies"]["plugin"])
    assert _PINNED.findall(requirements) == _PINNED.findall(pinned)


def test_each_requirement_has_the_hash_of_one_wheel_for_all_or_of_one_a_platform() -> None:
    requirements = (ROOT / "rootfs-build/requirements.txt").read_text()
    pythons, machines = ("3.11", "3.12", "3.13", "3.14"), ("x86_64", "aarch64")

    for requirement in _PINNED.split(requirements)[3::3]:
        assert requirement.count("--hash=sha256:") in (1, len(pythons) * len(machines))


@pytest.mark.parametrize(
    "script", ["rootfs-build/bundle", "rootfs-build/make-bundle", "tools/make-venv"]
)
def test_a_script_stops_at_its_first_failure(script: str) -> None:
    text = (ROOT / script).read_text()

    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
