"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("falcon", "waitress", "tinydb", "orjson", "pymongo")


def described(folder: Path) -> list[str]:
    """The machine, in lines for people; `folder` is where states were kept."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return [
        f"{processors()}; {_memory()} of memory",
        f"Linux {platform.release()}; states on {_filesystem(folder)}",
        f"Python {platform.python_version()}, {libraries}",
    ]


def processors() -> str:
    """How many processors there are, and which."""
    return f"{len(os.sched_getaffinity(0))} processors, {_processor()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.machine()


def _memory() -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{total / 2**30:.0f} GiB"


def _filesystem(folder: Path) -> str:
    """The type of the filesystem that the folder is on."""
    path = str(folder.resolve())
    best, kind = "", "an unknown filesystem"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind
