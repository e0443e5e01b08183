"""Builds of the bundle from copies of its sources."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SOURCES = ("LICENSE", "config.json", "schema.json", "plugin/pyipam", "rootfs-build")


def copy_sources(directory: Path) -> Path:
    """A copy of all that goes into a bundle."""
    for name in _SOURCES:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    return directory


def build(sources: Path, output: Path, **environment: str) -> Path:
    """Build natively from these sources."""
    done = subprocess.run(
        [sources / "rootfs-build/make-bundle", output],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return output
