"""The bundle built by an engine equals the one built natively."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.bundle.building import build
from tests.support.engine.chroots import ensure_chroot
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import release_named

_BASE = "base:1"
_CACHE = Path(
    os.environ.get("PYIPAM_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pyipam")
)


@pytest.fixture(scope="module")
def base(engine: PrivateEngine) -> str:
    """An image with apt and dpkg, and with the package sources of this machine."""
    chroot = ensure_chroot(release_named("20.10"), print)
    with tarfile.open(engine.root / "opt/base.tar", "w") as tar:
        for top in ("bin", "lib", "lib64", "sbin", "usr", "etc", "var"):
            tar.add(chroot / top, top, filter=_needed)
        tar.add("/etc/apt", "etc/apt")
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(tmp)
    engine.must("import", "/opt/base.tar", _BASE)
    return _BASE


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    kept = ("usr/share/dpkg", "usr/share/keyrings")
    left_out = ("etc/apt", "usr/share/", "usr/lib/python3", "var/cache", "var/lib/apt")
    engine = "docker" in member.name or "containerd" in member.name
    if engine or (member.name.startswith(left_out) and not member.name.startswith(kept)):
        return None
    return member


def test_both_routes_give_the_same_bytes(
    engine: PrivateEngine, sources: Path, base: str, tmp_path: Path
) -> None:
    native = build(sources, tmp_path / "native.tar")
    downloads = engine.root / "opt/downloads"
    for part in ("apt", "debs", "wheels"):
        shutil.copytree(_CACHE / part, downloads / part, dirs_exist_ok=True)

    route = ["BUNDLE_ROUTE=docker", f"BUNDLE_BASE={base}", "BUNDLE_DOWNLOADS=/opt/downloads"]
    engine.run(
        "env", *route, "/opt/sources/rootfs-build/bundle", "/opt/docker.tar", timeout=300
    ).check()

    assert (engine.root / "opt/docker.tar").read_bytes() == native.read_bytes()
    assert engine.must("ps", "--all", "--quiet") == ""
    assert engine.must("images", "--format", "{{.Repository}}:{{.Tag}}").split() == [
        base,
        "busybox:latest",
    ]
