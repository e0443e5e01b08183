"""Bundles that differ from the built one in a file: to build another one takes a minute."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path, PurePosixPath


def with_file(bundle: Path, changed: Path, name: str, text: str) -> Path:
    """A copy of the bundle, at `changed`, in which the file of that name has this text. If it is a
    module, it is no longer compiled."""
    path, content = PurePosixPath(name), text.encode()
    compiled = f"{path.parent}/__pycache__/{path.stem}."
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    with tarfile.open(bundle) as source, tarfile.open(changed, "w") as target:
        for member in source:
            if member.name != name and not member.name.startswith(compiled):
                target.addfile(member, source.extractfile(member) if member.isfile() else None)
        target.addfile(entry, BytesIO(content))
    return changed
