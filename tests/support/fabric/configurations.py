"""The configurations that docs/routing.md shows, for machines with other names and numbers."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[3] / "docs" / "routing"


def of_host(file: str, number: int) -> str:
    """The configuration of a host in that file, for host `number` from 1 on: its name, the number
    of its AS, and its router id."""
    shown = (FOLDER / file).read_text()
    for old, new in (
        ("hostname h1", f"hostname h{number}"),
        ("65001", str(65000 + number)),
        ("192.0.2.1", f"192.0.2.{number}"),
    ):
        shown = shown.replace(old, new)
    return shown


def of_router(file: str) -> str:
    """The configuration of a router in that file, which is used as it is."""
    return (FOLDER / file).read_text()
