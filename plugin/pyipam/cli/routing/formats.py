"""Routes as text, for people and for the programs that announce them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pyipam.cli.routing.announced import Announced
from pyipam.host.route import ANNOUNCED_METRIC
from pyipam.space.block import Block

# FRR prefers whatever else knows the prefix. It never uses a route of the distance 255.
_FRR_DISTANCE = 254


def _plain(announced: Announced, _protocol: int) -> Iterable[str]:
    return map(str, _in_order(announced))


def _json(announced: Announced, _protocol: int) -> Iterable[str]:
    yield announced.to_json()


def _ip(announced: Announced, protocol: int) -> Iterable[str]:
    for block in _in_order(announced):
        yield f"route replace unreachable {block} proto {protocol} metric {ANNOUNCED_METRIC}"


def _frr(announced: Announced, _protocol: int) -> Iterable[str]:
    for block in _in_order(announced):
        command = "ip" if block.version == 4 else "ipv6"
        yield f"{command} route {block} reject {_FRR_DISTANCE}"


def _bird(announced: Announced, _protocol: int) -> Iterable[str]:
    for version in (4, 6):
        yield f"protocol static pyipam{version} {{"
        yield f"  ipv{version};"
        for block in _in_order(announced):
            if block.version == version:
                yield f"  route {block} unreachable;"
        yield "}"


def _in_order(announced: Announced) -> list[Block]:
    return sorted(announced.blocks)


FORMATS: dict[str, Callable[[Announced, int], Iterable[str]]] = {
    "plain": _plain,
    "json": _json,
    "ip": _ip,
    "frr": _frr,
    "bird": _bird,
}


def text_of(announced: Announced, name: str, protocol: int) -> str:
    """The routes in a format of FORMATS; `protocol` is the number that ip(8) gives them."""
    lines: list[Any] = list(FORMATS[name](announced, protocol))
    return "".join(f"{line}\n" for line in lines)
