"""What operators say of nodes: that one is being drained, or that one is forgotten.

A node that is being drained gives no new network a pool in its local space; what lives goes on. A
node that was forgotten gives out nothing at all: others may get what it had.
"""

from __future__ import annotations

from collections.abc import Collection

from pyipam.core.aggregates import node_of
from pyipam.core.decision import Decision, info, warning
from pyipam.core.requests import PoolRequest
from pyipam.core.state import State
from pyipam.errors import InvalidRequest, Unavailable
from pyipam.log import Line
from pyipam.store.pool_id import space_of, split_node
from pyipam.store.records import Delete, NodeRecord, Put


def check_not_forgotten(state: State) -> None:
    """Raise Unavailable if this node was forgotten."""
    if state.marks and state.mark.forgotten is not None:
        raise Unavailable(about_forgotten(state.node))


def check_not_drained(state: State, request: PoolRequest) -> None:
    """Raise Unavailable if this node is being drained, and a new network of this host asks."""
    if request.space == "local" and state.marks and state.mark.draining is not None:
        raise Unavailable(about_drained(state.node))


def about_forgotten(node: str) -> str:
    """What a node that was forgotten says of itself."""
    return (
        f"node {node} was forgotten by an operator, and gives out nothing; give its plugin another "
        f"NODE_NAME, or undo that with `pyipam nodes forget --undo {node}`"
    )


def about_drained(node: str) -> str:
    """What a node that is being drained says of itself."""
    return (
        f"node {node} is being drained: networks that exist go on, and no new one gets a subnet; "
        f"create it on another node, or end that with `pyipam nodes undrain {node}`"
    )


def drain(state: State, node: str, seen: Collection[str]) -> Decision[None]:
    """Let a node give no new network a pool. `seen` are nodes that are known to share the plan,
    besides those that hold something. Raises InvalidRequest if it is unknown."""
    mark = _mark_of(state, node, seen)
    if mark.draining is not None:
        return Decision(None, events=[info("node is already being drained", node=node)])
    return _marked(mark._replace(draining=state.clock.wall()), warning("node drained", node=node))


def undrain(state: State, node: str, seen: Collection[str]) -> Decision[None]:
    """End that. Raises InvalidRequest if the node is unknown."""
    mark = _mark_of(state, node, seen)
    if mark.draining is None:
        return Decision(None, events=[info("node is not being drained", node=node)])
    return _marked(mark._replace(draining=None), info("node no longer drained", node=node))


def known_nodes(state: State) -> set[str]:
    """The nodes that hold something that is known here, or of which something was said; and this
    one. Visits every pool of other nodes."""
    return {
        state.node,
        *state.marks,
        *map(node_of, state.aggregates.elsewhere()),
        *(split_node(space_of(pool.id))[1] for pool in state.elsewhere.pools()),
    }


def _mark_of(state: State, node: str, seen: Collection[str]) -> NodeRecord:
    known = known_nodes(state) | {*seen}
    if node not in known:
        raise InvalidRequest(
            f"the plan has no node {node}; it has {', '.join(sorted(known))}. Nothing has been done"
        )
    return state.marks.get(node) or NodeRecord(node)


def _marked(mark: NodeRecord, event: Line) -> Decision[None]:
    """A mark that says nothing is not kept."""
    is_empty = mark.draining is None and mark.forgotten is None
    return Decision(None, [Delete(mark.key) if is_empty else Put(mark)], [event])
