"""The bundle, which is one tar file with config.json and rootfs/."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

_STAMP = "rootfs/usr/share/pyipam/build.json"


def unpack(bundle: Path, directory: Path) -> None:
    """Unpack everything, with permissions and links; with owners too, if this runs as root."""
    with tarfile.open(bundle) as tar:
        # Not passed as an argument, which the Python of Debian 12 does not know yet.
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)
        tar.extractall(directory)


def read_stamp(bundle: Path) -> dict[str, Any]:
    """The build stamp: version, machine and contents (see rootfs-build/stamp.py)."""
    with tarfile.open(bundle) as tar:
        content = tar.extractfile(_STAMP)
        assert content
        stamp: dict[str, Any] = json.load(content)
    return stamp


def split(bundle: Path) -> tuple[dict[str, Any], bytes]:
    """The manifest (config.json), and the content of rootfs/ as a tar file."""
    config: dict[str, Any] = {}
    rootfs = io.BytesIO()
    with tarfile.open(bundle) as source, tarfile.open(fileobj=rootfs, mode="w") as target:
        for member in source:
            content = source.extractfile(member) if member.isfile() else None
            if member.name == "config.json" and content:
                config = json.load(content)
            elif member.name.startswith("rootfs/"):
                member.name = member.name.removeprefix("rootfs/")
                target.addfile(member, content)
    return config, rootfs.getvalue()
