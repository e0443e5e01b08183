"""The names that Docker had for what is held, as `pyipam record` handed them to the plugin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyipam.history.names import Name, read_names
from pyipam.space.address import Address, parse_address
from pyipam.space.block import Block
from pyipam.views.order import Page, Part, Pause, no_such_page


@dataclass(frozen=True, slots=True)
class NameView:
    """The name of a network on a subnet, or of a container that has an address there, as it was at
    `time`, a UNIX time in seconds. `address` and `container` are None for the network itself."""

    subnet: str
    network: str
    address: str | None
    container: str | None
    time: float


@dataclass(frozen=True, slots=True)
class NameFilter:
    """Which names are wanted; None leaves a question open: of one address and of the networks that
    it lies in, of subnets that overlap `block`, of the network or container called `name`, of those
    whose names contain a text, in lower case."""

    address: Address | None = None
    block: Block | None = None
    name: str | None = None
    containing: str | None = None

    def has(self, subnet: Block, name: Name) -> bool:
        """Whether a name on this subnet is wanted."""
        if self.block is not None and not subnet.overlaps(self.block):
            return False
        called = name.container or name.network
        if self.name not in (None, called):
            return False
        if self.containing is not None and self.containing not in called.lower():
            return False
        if self.address is None:
            return True
        if not name.address:
            return subnet.contains(self.address)
        return parse_address(name.address) == self.address


def list_names(path: Path, wanted: NameFilter, part: Part, pause: Pause) -> Page[NameView]:
    """A part of the names in a file that are wanted. Nothing where `record` does not run. Raises
    InvalidRequest."""
    if part.after and not (part.after.isdecimal() and len(part.after) < 10):
        raise no_such_page(part.after)
    first = int(part.after or 0)
    known = read_names(path, pause)
    if known is None:
        return Page(())
    found: list[NameView] = []
    for position, (subnet, name) in enumerate(known.names[first:], first):
        if not wanted.has(subnet, name):
            continue
        if len(found) == part.limit:
            return Page(tuple(found), str(position))
        found.append(_view(name, known.time))
    return Page(tuple(found))


def _view(name: Name, time: float) -> NameView:
    return NameView(name.subnet, name.network, name.address or None, name.container or None, time)
