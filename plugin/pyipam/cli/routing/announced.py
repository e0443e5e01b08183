"""What is to be announced, as the plugin said it, or as it was kept for the next start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyipam.cli.refusal import CommandRefused
from pyipam.files import replace_file
from pyipam.space.block import Block, parse_subnet


@dataclass(frozen=True)
class Announced:
    """The answer of /v1/routes, and the blocks in it: those to be announced, and the plan's."""

    answer: Mapping[str, Any]
    blocks: frozenset[Block]
    plan: frozenset[Block]

    @property
    def version(self) -> str:
        """What tells it from other answers."""
        return str(self.answer["version"])

    def to_json(self) -> str:
        """The answer as JSON."""
        return json.dumps(self.answer, indent=2, ensure_ascii=False)


NOTHING = Announced({"version": "", "node": "", "plan": [], "routes": []}, frozenset(), frozenset())


def read_announced(answer: Any, source: str) -> Announced:
    """What an answer says. Raises CommandRefused, with the name of its source, if it is not one."""
    try:
        blocks = frozenset(parse_subnet(route["prefix"]) for route in answer["routes"])
        plan = frozenset(map(parse_subnet, answer["plan"]))
        answer["version"], answer["node"]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CommandRefused(f"{source} does not hold routes as pyipam writes them") from None
    return Announced(answer, blocks, plan)


def read_kept(path: Path) -> Announced:
    """What was kept in a file; nothing if there is no file yet. Raises CommandRefused if it cannot
    be read."""
    try:
        return read_announced(json.loads(path.read_bytes()), str(path))
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        raise CommandRefused(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CommandRefused(f"{path} does not hold routes as pyipam writes them") from None


def keep(path: Path, announced: Announced) -> None:
    """Replace the file, durably. Raises CommandRefused."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, [announced.to_json().encode(), b"\n"])
    except OSError as error:
        raise CommandRefused(f"{path}: {error.strerror}; the routes are not kept") from None
