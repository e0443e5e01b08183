"""An image to build in, without a registry."""

import os
import tarfile
from pathlib import Path

from tests.support.engine.chroots import ensure_chroot
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import release_named

_CACHE = Path(
    os.environ.get("PYIPAM_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pyipam")
)
# What a build downloads, after a native one has.
DOWNLOADS = tuple(_CACHE / part for part in ("apt", "debs", "wheels"))


def import_base(engine: PrivateEngine, name: str) -> None:
    """Import an image with apt and dpkg, and with the package sources of this machine."""
    chroot = ensure_chroot(release_named("20.10"), print)
    with tarfile.open(engine.root / "opt/base.tar", "w") as tar:
        for top in ("bin", "lib", "lib64", "sbin", "usr", "etc", "var"):
            tar.add(chroot / top, top, filter=_needed)
        tar.add("/etc/apt", "etc/apt")
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(tmp)
    engine.must("import", "/opt/base.tar", name)


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    kept = ("usr/share/dpkg", "usr/share/keyrings")
    left_out = ("etc/apt", "usr/share/", "usr/lib/python3", "var/cache", "var/lib/apt")
    engine = "docker" in member.name or "containerd" in member.name
    if engine or (member.name.startswith(left_out) and not member.name.startswith(kept)):
        return None
    return member
