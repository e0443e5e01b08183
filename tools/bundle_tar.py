"""The bundle as it lies in one tar: config.json and rootfs/."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

_STAMP = "rootfs/usr/share/pyipam/build.json"


def unpack(bundle: Path, directory: Path) -> None:
    """Unpack all of it, with rights and links; owners too if root does it."""
    with tarfile.open(bundle) as tar:
        # Not an argument: Debian 12 has a Python that does not know it yet.
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)
        tar.extractall(directory)


def read_stamp(bundle: Path) -> dict[str, Any]:
    """Version, machine and contents."""
    with tarfile.open(bundle) as tar:
        content = tar.extractfile(_STAMP)
        assert content
        stamp: dict[str, Any] = json.load(content)
    return stamp


def split(bundle: Path) -> tuple[dict[str, Any], bytes]:
    """The manifest, and what is below rootfs/ as a tar of its own."""
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
