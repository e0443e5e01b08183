"""The routes of this host's kernel kept equal to what is to be announced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from pyipam.cli.refusal import CommandRefused
from pyipam.cli.routing.announced import Announced
from pyipam.space.block import Block


class Kernel(Protocol):
    """The routes that pyipam has in a kernel: see host.announced_routes.AnnouncedRoutes."""

    def blocks(self) -> set[Block]:
        """The destinations of the routes that are there. Raises OSError."""

    def add(self, block: Block) -> None:
        """Add a route. Raises OSError: FileExistsError, which says so, where another route has its
        place."""

    def delete(self, block: Block) -> None:
        """Delete a route. Raises OSError."""

    def learned(self, within: Iterable[Block]) -> set[Block]:
        """What a BGP daemon has put into the kernel inside these blocks. Raises OSError."""


OpenKernel = Callable[[int], AbstractContextManager[Kernel]]


def open_kernel(protocol: int) -> AbstractContextManager[Kernel]:
    """The kernel of this host, for reading. Raises CommandRefused."""
    if sys.platform != "linux":
        raise CommandRefused(
            f"the routes of the kernel are read on Linux alone, not {sys.platform}"
        )
    from pyipam.host.announced_routes import AnnouncedRoutes

    try:
        return AnnouncedRoutes(protocol)
    except OSError as error:
        raise CommandRefused(
            f"the kernel does not tell its routes: {error.strerror or error}"
        ) from None


def check_may_change() -> None:
    """Raise CommandRefused where routes of the kernel cannot be changed."""
    if sys.platform != "linux":
        raise CommandRefused(f"--sync kernel works on Linux alone, not on {sys.platform}")
    from pyipam.host.announced_routes import may_change_routes

    if not may_change_routes():
        raise CommandRefused(
            "--sync kernel changes routes of this host, for which it needs CAP_NET_ADMIN: run it "
            "as root"
        )


class Synchronized(NamedTuple):
    """What was changed, and what could not be, each in a line."""

    done: tuple[str, ...]
    failed: tuple[str, ...]


def synchronize(kernel: Kernel, wanted: Announced, formerly: Announced) -> Synchronized:
    """Add what is missing, then delete what is too much.

    In this order a prefix that is merged with another one, or split, is never without a route. Only
    what lies in the plan, or was announced before, is deleted; what overlaps a route that could not
    be added stays. Raises OSError if the kernel cannot be asked.
    """
    there = kernel.blocks()
    missing = {block: _add(kernel, block) for block in sorted(wanted.blocks - there)}
    failed = {block: why for block, why in missing.items() if why}
    ours = wanted.plan | formerly.plan | formerly.blocks
    deleted = [
        block
        for block in sorted(there - wanted.blocks)
        if any(block.is_inside(around) for around in ours)
        and not any(block.overlaps(other) for other in failed)
    ]
    for block in deleted:
        kernel.delete(block)
    added = [block for block in missing if block not in failed]
    return Synchronized(
        (*(f"added {block}" for block in added), *(f"deleted {block}" for block in deleted)),
        tuple(failed.values()),
    )


def _add(kernel: Kernel, block: Block) -> str:
    """Add a route; why it could not be added, or an empty string."""
    try:
        kernel.add(block)
    except FileExistsError as error:
        ip = "ip" if block.version == 4 else "ip -6"
        return (
            f"{block} is not added: {error.strerror} ({ip} route show {block}). Remove that; a "
            f"former --proto leaves its routes there ({ip} route flush proto NUMBER)"
        )
    except OSError as error:
        return f"{block} is not added: {error.strerror or error}"
    return ""


def announced_twice(kernel: Kernel, wanted: Announced) -> list[str]:
    """A sentence for each prefix of this node that another one announces as well. Raises
    OSError."""
    return [
        f"{block} is announced twice: it is this host's own, and BGP has brought it here. Its "
        "containers or those of the other host are not reached: find out who else announces it "
        f"(ip route show {block})"
        for block in sorted(kernel.learned(wanted.blocks))
    ]
