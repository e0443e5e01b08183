"""The names that Docker had for what is held, as `pyipam record` handed them to the plugin."""

from __future__ import annotations

from dataclasses import dataclass

from pyipam.history.names import Name
from pyipam.space.address import Address, parse_address
from pyipam.space.block import Block
from pyipam.views.naming import KnownNames
from pyipam.views.order import Page, Part, Pause, in_parts, no_such_page


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


def list_names(known: KnownNames, wanted: NameFilter, part: Part, pause: Pause) -> Page[NameView]:
    """A part of the known names that are wanted. Nothing where `record` does not run. Raises
    InvalidRequest."""
    if part.after and not (part.after.isdecimal() and len(part.after) < 10):
        raise no_such_page(part.after)
    first = int(part.after or 0)
    found: list[NameView] = []
    for some in in_parts(enumerate(known.names[first:], first)):
        for position, (subnet, name) in some:
            if not wanted.has(subnet, name):
                continue
            if len(found) == part.limit:
                return Page(tuple(found), str(position))
            found.append(_view(name, known.time))
        pause()
    return Page(tuple(found))


def _view(name: Name, time: float) -> NameView:
    return NameView(name.subnet, name.network, name.address or None, name.container or None, time)
