"""Writes the lock files from the versions that pyproject.toml pins: `make lock`.

A lock file names each package that is pinned or needed by one that is, in one version, with the
SHA-256 of its wheel for every interpreter and machine below. pip-compile (pip-tools) chooses the
versions that pyproject.toml does not pin, and keeps those of the present lock file if it can:
remove the file to get the newest ones.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

_ROOT = Path(__file__).parents[1]
# The interpreters that make-bundle supports.
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_MACHINES = ("x86_64", "aarch64")
# The C libraries that wheels may ask for: Debian 12, the oldest release that make-bundle supports,
# has glibc 2.36.
_PLATFORMS = ("manylinux_2_28", "manylinux2014", "manylinux_2_17")
# Every environment has pip and setuptools; pymongo needs dnspython only for mongodb+srv://, which
# the plugin does not offer.
_LEFT_OUT = ("pip", "setuptools", "dnspython")


class LockFailed(Exception):
    """Why no lock file was written, in one sentence."""


@dataclass(frozen=True)
class Lock:
    """A lock file, and what its first line says about it."""

    path: Path
    title: str


PLUGIN = Lock(Path("rootfs-build/requirements.txt"), "The third-party packages in the plugin.")
AUDIT = Lock(
    Path("tools/audit-requirements.txt"),
    "pip-audit and what it needs, for `make audit`. Not part of the plugin.",
)


def pinned_versions(folder: Path) -> dict[Lock, list[str]]:
    """The requirements (`name==version`) that go into each lock file."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return {PLUGIN: extras["plugin"], AUDIT: extras["audit"]}


def resolve(requirements: Iterable[str], present: Path) -> list[str]:
    """These requirements and what they depend on, as `name==version`. Raises LockFailed."""
    with tempfile.NamedTemporaryFile("w+", suffix=".txt") as output:
        if present.exists():
            output.write(_without_hashes(present.read_text()))
            output.flush()
        _run(
            *("piptools", "compile", "-", "--quiet", "--output-file", output.name),
            *("--no-header", "--no-annotate", "--no-emit-options", "--strip-extras"),
            *(f"--unsafe-package={name}" for name in _LEFT_OUT),
            "--pip-args=--only-binary :all:",
            stdin="\n".join(requirements),
        )
        lines = Path(output.name).read_text().splitlines()
    return [line for line in lines if "==" in line]


def _without_hashes(lock: str) -> str:
    lines = (line.removesuffix("\\").strip() for line in lock.splitlines())
    return "".join(f"{line}\n" for line in lines if "==" in line)


def wheel_hashes(requirements: list[str]) -> dict[str, set[str]]:
    """The SHA-256 of all wheels of each package, by its canonical name. Raises LockFailed."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(max_workers=2) as threads:
        targets = list(product(_PYTHONS, _MACHINES))
        list(threads.map(lambda target: _download(requirements, Path(folder), *target), targets))
        hashes: defaultdict[str, set[str]] = defaultdict(set)
        for wheel in Path(folder).rglob("*.whl"):
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            hashes[parse_wheel_filename(wheel.name)[0]].add(digest)
    return dict(hashes)


def _download(requirements: list[str], folder: Path, python: str, machine: str) -> None:
    _run(
        *("pip", "download", "-qq", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--dest", str(folder / f"{python}-{machine}")),
        *("--implementation", "cp", "--python-version", python),
        *(f"--platform={platform}_{machine}" for platform in _PLATFORMS),
        *requirements,
    )


def render(title: str, requirements: list[str], hashes: Mapping[str, set[str]]) -> str:
    """The text of a lock file."""
    wheels = f"Wheels for CPython {_PYTHONS[0]} to {_PYTHONS[-1]} on {' and '.join(_MACHINES)}."
    lines = [f"# {title}", f"# {wheels}", "# Written by `make lock`."]
    for requirement in requirements:
        name = canonicalize_name(requirement.partition("==")[0])
        lines.append(" \\\n    ".join([requirement, *_options(hashes[name])]))
    return "\n".join(lines) + "\n"


def _options(digests: Iterable[str]) -> list[str]:
    return [f"--hash=sha256:{digest}" for digest in sorted(digests)]


def _run(module: str, *arguments: str, stdin: str = "") -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LockFailed(f"{module} {arguments[0]} failed: {last}")


def main(folder: Path = _ROOT) -> None:
    """Write every lock file."""
    try:
        for lock, pinned in pinned_versions(folder).items():
            requirements = resolve(pinned, folder / lock.path)
            text = render(lock.title, requirements, wheel_hashes(requirements))
            (folder / lock.path).write_text(text)
            print(f"{lock.path}: {len(requirements)} packages")
    except LockFailed as error:
        sys.exit(f"make lock: {error}")


if __name__ == "__main__":
    main()
