"""The bundle for an architecture that this machine does not have, and its program, emulated."""

import logging
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundle_tar import read_stamp, unpack
from docker_client import Failure
from install import check_engine

from tests.bundle.building import ROOT, build, copy_sources
from tests.bundle.rootfs import post_when_it_listens
from tests.support.engine import unix_http
from tests.support.engine.chroots import ensure_program
from tests.support.program import UNPRIVILEGED_UID

# Architecture, its name in the kernel, and its number in ELF files.
_ARM = ("arm64", "aarch64", 183)
_INTEL = ("amd64", "x86_64", 62)
_OTHER = {"x86_64": _ARM, "aarch64": _INTEL}
_LOGGER = logging.getLogger("bundle")


@pytest.fixture(scope="module")
def other() -> tuple[str, str, int]:
    """The architecture that this machine does not have."""
    return _OTHER[os.uname().machine]


@pytest.fixture(scope="module")
def foreign(other: tuple[str, str, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for it."""
    place = tmp_path_factory.mktemp("foreign")
    return build(copy_sources(place / "sources"), place / "plugin.tar", BUNDLE_ARCH=other[0])


@pytest.fixture(scope="module")
def foreign_rootfs(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its unpacked rootfs."""
    place = tmp_path_factory.mktemp("foreign-rootfs")
    unpack(foreign, place)
    return place / "rootfs"


def test_two_builds_for_another_architecture_are_identical(
    other: tuple[str, str, int], foreign: Path, tmp_path: Path
) -> None:
    sources = copy_sources(tmp_path / "another place")

    again = build(sources, tmp_path / "plugin.tar", BUNDLE_ARCH=other[0], TZ="Asia/Tokyo")

    assert again.read_bytes() == foreign.read_bytes()


def test_it_has_the_same_packages_and_wheels_as_the_bundle_of_this_machine(
    other: tuple[str, str, int], foreign: Path, stamp: dict[str, Any]
) -> None:
    theirs = read_stamp(foreign)

    assert theirs["machine"] == other[1]
    assert _versions(theirs["packages"]) == _versions(stamp["packages"])
    assert _versions(theirs["wheels"]) == _versions(stamp["wheels"])


def _versions(entries: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: entry["version"] for name, entry in entries.items()}


def test_all_its_machine_code_is_for_that_architecture(
    other: tuple[str, str, int], foreign_rootfs: Path
) -> None:
    machines = {
        struct.unpack_from("<H", head, 18)[0]
        for path in foreign_rootfs.rglob("*")
        if path.is_file() and not path.is_symlink()
        for head in [_head(path)]
        if head.startswith(b"\x7fELF")
    }

    assert machines == {other[2]}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)


@pytest.fixture
def sockets(other: tuple[str, str, int], foreign_rootfs: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of the sockets of its program, which an emulator of that machine runs."""
    root = tmp_path / "rootfs"
    shutil.copytree(foreign_rootfs, root, symlinks=True)
    emulator = f"qemu-{other[1]}-static"
    shutil.copy(ensure_program(emulator, "qemu-user-static", _LOGGER.info), root / emulator)
    sockets = root / "run/docker/plugins"
    sockets.mkdir(parents=True)
    (root / "schema.json").touch()
    with subprocess.Popen(
        ["chroot", root, f"/{emulator}", "/usr/bin/python3", "-I", "-m", "pyipam.server"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": os.environ["PATH"]},
    ) as program:
        try:
            yield sockets
        finally:
            program.terminate()
            log, _ = program.communicate(timeout=60)
    assert program.returncode == 0, log
    assert " error " not in log


def test_its_program_gives_and_keeps_a_pool_and_a_lease(sockets: Path) -> None:
    driver = sockets / "driver.sock"
    pool = post_when_it_listens(driver, "RequestPool", AddressSpace="local", V6=False)
    lease = post_when_it_listens(driver, "RequestAddress", PoolID=pool["PoolID"], Address="")

    assert pool["Pool"] == "100.64.0.0/30"
    assert lease["Address"] == "100.64.0.1/30"
    held = unix_http.get_json(driver, "/v1/pools")["items"]
    assert [entry["subnet"] for entry in held] == ["100.64.0.0/30"]
    state = sockets.parents[2] / "state"
    assert state.stat().st_uid == UNPRIVILEGED_UID


def test_an_engine_of_another_architecture_is_refused_with_the_command_that_helps(
    other: tuple[str, str, int], foreign: Path, bundle: Path
) -> None:
    own = _OTHER[other[1]][0]
    check_engine({"Os": "linux", "Arch": own}, bundle)

    with pytest.raises(Failure) as refusal:
        check_engine({"Os": "linux", "Arch": own}, foreign)

    assert str(refusal.value) == (
        f"the engine runs linux/{own}, and {foreign} is for linux/{other[0]}; "
        f"make install ARCH={own} builds and installs one that fits"
    )


def test_an_engine_of_an_architecture_that_no_bundle_is_for_is_refused(
    other: tuple[str, str, int], foreign: Path
) -> None:
    with pytest.raises(Failure) as refusal:
        check_engine({"Os": "linux", "Arch": "riscv64"}, foreign)

    assert str(refusal.value) == (
        f"the engine runs linux/riscv64, and {foreign} is for linux/{other[0]}; "
        "pyipam can be built for linux/amd64 and linux/arm64 only"
    )


def test_an_architecture_without_a_bundle_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "rootfs-build/make-bundle", tmp_path / "plugin.tar"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BUNDLE_ARCH": "armhf"},
    )

    assert done.returncode == 1
    assert done.stderr == (
        "make-bundle: the architecture is armhf; a bundle can be made for amd64 and arm64\n"
    )
    assert not (tmp_path / "plugin.tar").exists()
