"""What `pyipam nodes forget` does: give back all that a lost node held, and fence it off."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING

from pyipam.cli.messages import say
from pyipam.cli.refusal import CommandRefused
from pyipam.store.mongodb.address import StoreAddress
from pyipam.transfer.moving import Count

if TYPE_CHECKING:
    from pyipam.store.mongodb.forgetting import Forgetting, HeldByNode

# A node says every 30 seconds that it lives; an election of the database may take as long.
SEEN_LATELY_SECONDS = 600.0


def forget_node(address: StoreAddress, node: str) -> Count:
    """Delete all that a node of a shared plan holds in its own space, and let it get nothing any
    more; how much it was. The other nodes learn of it by themselves.

    It is done as a whole, or not at all. Raises CommandRefused, also where the node may still live
    or holds pools, StoreFailure, Unavailable or StateCorrupted.
    """
    with _loaded(address) as plan:
        _check_known(plan.nodes(), node)
        held = plan.held_by(node)
        if plan.is_forgotten(node):
            _check_finished(node, held)
        _check_gone(plan, node)
        _check_empty(node, held)
        return _count(plan.forget(node, time.time()))


def forget_node_by_force(address: StoreAddress, node: str) -> Count:
    """The same, also of a node that may still live, or holds pools. If it may, it is fenced off
    first: others get what it has when it cannot give out any more of that.

    Then it is not done as a whole. If it is interrupted, the node keeps what it has, and gets
    nothing until it was done again, and that was undone.
    """
    from pyipam.store.mongodb.forgetting import NotForgotten

    with _loaded(address) as plan:
        _check_known(plan.nodes(), node)
        since = _fence_off(plan, node) if _was_seen_lately(plan, node) else None
        try:
            return _count(plan.forget(node, time.time(), since))
        except NotForgotten:
            raise CommandRefused(
                f"that node {node} was forgotten was undone meanwhile, and it may have got "
                "something since; nothing of that has been deleted. To forget it all the same, run "
                "the command again"
            ) from None


def remember_node(address: StoreAddress, node: str) -> bool:
    """Let a node get something again that was forgotten; whether it is still drained. What it held
    is gone.

    Raises CommandRefused if it was not forgotten, or not all that it held was deleted, and
    StoreFailure, Unavailable or StateCorrupted.
    """
    from pyipam.store.mongodb.forgetting import NotForgotten, Unfinished

    with _loaded(address) as plan:
        _check_known(plan.nodes(), node)
        try:
            return plan.undo(node).draining is not None
        except NotForgotten:
            raise CommandRefused(f"node {node} was not forgotten; nothing has been done") from None
        except Unfinished as found:
            raise CommandRefused(
                f"{_cut_off(node, found.pools)} left, and others may get its addresses. Run "
                f"`pyipam nodes forget --force {node}` again, which deletes what is left, and undo "
                "it afterwards. Nothing has been done"
            ) from None


def _cut_off(node: str, pools: int) -> str:
    left = "one pool of it is" if pools == 1 else f"{pools} pools of it are"
    return f"the forgetting of node {node} was cut off, or is under way: {left}"


def _check_known(known: Collection[str], node: str) -> None:
    """Raise CommandRefused if the plan has no such node."""
    if node not in known:
        raise CommandRefused(
            f"the plan has no node {node}; it has {', '.join(sorted(known)) or 'none'}"
        )


def _was_seen_lately(plan: Forgetting, node: str) -> bool:
    """Whether the node may be giving out something: also where it is not known when it was seen, as
    it was fenced off lately, or its plugin is of an older version."""
    age = plan.seconds_since_seen().get(node)
    return age is None or age < SEEN_LATELY_SECONDS


def _fence_off(plan: Forgetting, node: str) -> float:
    """Let the node get nothing any more, and wait until it gives out nothing of what it has. The
    answer is since when it is forgotten."""
    from pyipam.store.mongodb.forgetting import LATE_WRITES_SECONDS

    since = plan.fence_off(node, time.time())
    if plan.held_by(node).pools:
        say(
            f"node {node} gets nothing any more; as its plugin may be running, others can have "
            f"what it holds in {LATE_WRITES_SECONDS:.0f} seconds. If this command is cut off, run "
            "it again"
        )
        sleep(LATE_WRITES_SECONDS)
    return since


def _check_gone(plan: Forgetting, node: str) -> None:
    """Raise CommandRefused if the node may still live. The plan may have been imported, and the
    node never have begun to serve it."""
    ages = plan.seconds_since_seen()
    if node not in ages:
        return
    age = ages[node]
    way_out = "If its host is permanently gone, add --force"
    if age is None:
        raise CommandRefused(
            f"it is not known when node {node} was last seen, because its plugin is an older "
            f"version. {way_out}"
        )
    if age < SEEN_LATELY_SECONDS:
        raise CommandRefused(
            f"node {node} was seen {age:.0f} seconds ago: its containers may be running, and "
            "their addresses would be given to others. Disable its plugin, and wait for another "
            f"{SEEN_LATELY_SECONDS - round(age):.0f} seconds, until it has not been seen for "
            f"{SEEN_LATELY_SECONDS / 60:.0f} minutes. {way_out}"
        )


def _check_finished(node: str, held: HeldByNode) -> None:
    """Raise CommandRefused if a node that was forgotten holds pools."""
    if held.pools:
        raise CommandRefused(
            f"{_cut_off(node, held.pools)} left. Run `pyipam nodes forget --force {node}` again, "
            f"which deletes {'it' if held.pools == 1 else 'them'}"
        )


def _check_empty(node: str, held: HeldByNode) -> None:
    """Raise CommandRefused if the node holds pools."""
    if held.pools:
        pools = "one pool" if held.pools == 1 else f"{held.pools} pools"
        raise CommandRefused(
            f"node {node} holds {pools}: others would get the addresses of its containers. Remove "
            "its networks first; if its host is permanently gone, add --force"
        )


def _count(held: HeldByNode) -> Count:
    return Count(held.pools, held.leases, held.drivers, held.aggregates)


@contextmanager
def _loaded(address: StoreAddress) -> Iterator[Forgetting]:
    # The database is not needed by any other command.
    from pyipam.store.mongodb.forgetting import Forgetting

    with TemporaryDirectory() as folder, closing(Forgetting(address, Path(folder))) as plan:
        plan.load()
        yield plan
