"""What is in the bundle, and what is not."""

import gzip
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.bundle.building import ROOT
from tests.bundle.rootfs import PACKAGES, Rootfs

_MEGABYTE = 1_000_000


def test_the_unpacked_rootfs_takes_at_most_55_megabytes(rootfs: Rootfs) -> None:
    assert sum((rootfs.path / file).stat().st_size for file in rootfs.files()) <= 55 * _MEGABYTE


def test_the_compressed_bundle_takes_at_most_18_megabytes(bundle: Path) -> None:
    assert len(gzip.compress(bundle.read_bytes(), 9)) <= 18 * _MEGABYTE


def test_the_tar_holds_the_manifest_and_one_rootfs_and_nothing_else(
    members: list[tarfile.TarInfo],
) -> None:
    assert {member.name.split("/")[0] for member in members} == {"config.json", "rootfs"}


def test_the_interpreter_is_the_only_program(rootfs: Rootfs) -> None:
    programs = [path for path in rootfs.path.rglob("*bin/*") if not path.is_dir()]

    assert [path.relative_to(rootfs.path).parent for path in programs] == [Path("usr/bin")] * 2
    assert {path.resolve().name for path in programs} == {rootfs.stdlib.name}


@pytest.mark.parametrize(
    "name",
    ["sh", "bash", "dash", "busybox", "perl", "apt", "apt-get", "dpkg", "pip", "pip3", "env"],
)
def test_there_is_no_shell_and_no_package_manager(rootfs: Rootfs, name: str) -> None:
    assert not [path for path in rootfs.path.rglob(name) if not path.is_dir()]


@pytest.mark.parametrize("package", ["pip", "setuptools", "ensurepip", "venv", "pip_audit"])
def test_no_module_installs_or_audits_packages(rootfs: Rootfs, package: str) -> None:
    code = f"import importlib.util; print(importlib.util.find_spec({package!r}))"

    assert rootfs.python(code) == "None"


def test_everything_belongs_to_root(members: list[tarfile.TarInfo]) -> None:
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, "", "")
    }


def test_no_file_gives_the_rights_of_its_owner(members: list[tarfile.TarInfo]) -> None:
    assert not [m.name for m in members if m.mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX)]


def test_only_root_can_write_anything(members: list[tarfile.TarInfo]) -> None:
    others = stat.S_IWGRP | stat.S_IWOTH

    assert not [m.name for m in members if not m.issym() and m.mode & others]


def test_everyone_can_read_everything(members: list[tarfile.TarInfo]) -> None:
    assert {m.mode for m in members if m.isdir()} == {0o755}
    assert {m.mode for m in members if m.isfile()} <= {0o755, 0o644}


def test_there_are_only_files_directories_and_links(members: list[tarfile.TarInfo]) -> None:
    assert not [m.name for m in members if not (m.isfile() or m.isdir() or m.issym())]


def test_no_link_leads_nowhere_or_out_of_the_rootfs(rootfs: Rootfs) -> None:
    links = [path for path in rootfs.path.rglob("*") if path.is_symlink()]

    assert links
    for link in links:
        assert not Path(link.readlink()).is_absolute(), link
        assert link.resolve(strict=True).is_relative_to(rootfs.path.resolve()), link


def test_the_user_that_the_program_becomes_has_a_name(rootfs: Rootfs) -> None:
    code = "import grp, pwd; print(pwd.getpwuid(65532).pw_name, grp.getgrgid(65532).gr_name)"

    assert rootfs.python(code) == "pyipam pyipam"


def test_the_libraries_are_compiled_only(rootfs: Rootfs) -> None:
    program = PACKAGES / "pyipam"
    sources = {file for file in rootfs.files() if file.suffix == ".py"}

    assert not [file for file in sources if not file.is_relative_to(program)]


def test_the_program_keeps_its_source_for_traces(rootfs: Rootfs) -> None:
    code = "import inspect, pyipam.errors; print(inspect.getsource(pyipam.errors), end='')"

    assert rootfs.python(code) == (ROOT / "plugin/pyipam/errors.py").read_text().strip()


def test_every_module_is_compiled_and_trusted_without_looking_at_its_source(
    rootfs: Rootfs,
) -> None:
    compiled = [file for file in rootfs.files() if file.suffix == ".pyc"]
    sources = [file for file in rootfs.files() if file.suffix == ".py"]

    assert len(compiled) > len(sources) > 0
    for source in sources:
        assert list((rootfs.path / source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"))
    for file in compiled:
        flags = int.from_bytes((rootfs.path / file).read_bytes()[4:8], "little")
        assert flags == 0b01, f"{file} is checked against a source"


def test_no_path_of_the_building_machine_is_in_a_trace(rootfs: Rootfs) -> None:
    code = "import json, pyipam.errors as b; print(json.loads.__code__.co_filename, b.__file__)"

    assert rootfs.python(code) == (
        f"/{rootfs.stdlib}/json/__init__.py /{PACKAGES}/pyipam/errors.py"
    )


def test_the_default_schema_is_the_one_in_the_repository(rootfs: Rootfs) -> None:
    built_in = rootfs.path / "usr/share/pyipam/schema.json"

    assert built_in.read_bytes() == (ROOT / "schema.json").read_bytes()


def test_each_package_brings_its_licence(rootfs: Rootfs, stamp: dict[str, Any]) -> None:
    for name in stamp["packages"]:
        assert (rootfs.path / "usr/share/doc" / name / "copyright").is_file(), name
    for name, wheel in stamp["wheels"].items():
        (about,) = (rootfs.path / PACKAGES).glob(f"{name}-{wheel['version']}.dist-info")
        assert list(about.rglob("*LICENSE*")), name


def test_the_program_brings_its_licence(rootfs: Rootfs) -> None:
    licence = rootfs.path / "usr/share/doc/pyipam/copyright"

    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()
