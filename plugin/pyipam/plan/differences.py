"""What another schema means: scopes that are added, removed or changed, and pools that then lie
elsewhere. The log of an edit says it, and `pyipam diff` before the edit, in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from operator import itemgetter
from typing import NamedTuple

from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block, block_of, text_of_range
from pyipam.store.pool_id import is_local

_COMPARED = (
    *("parent", "child_prefix", "tags", "lock_down", "pre_seed_children"),
    *("reserved", "reuse_delay", "address_space", "node_prefix", "description"),
)
# The network of a scope, and how many scopes of the same network are around it: a child may be as
# large as its parent.
_Key = tuple[str, int]
Scopes = Mapping[_Key, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is different: a scope that is added, removed or changed (`kind`), of which
    nodes claim other blocks than before (claims), or that lies in a block that one has claimed
    (inside); a pool that is outside every scope, or moved to another one, that becomes a stray, or
    is one no longer and loses its route; an aggregate that ends or stays."""

    kind: str
    what: str
    detail: str


def scopes_of(tree: ScopeTree) -> Scopes:
    """The scopes of a tree, as far as they are compared."""
    parents = tree.parents()
    return _numbered((str(scope), _described(scope, parents.get(scope))) for scope in tree)


def scopes_shown(views: Iterable[Mapping[str, object]]) -> Scopes:
    """The scopes that /v1/scopes shows, as far as they are compared."""
    return _numbered(
        (str(view["network"]), {name: view.get(name) for name in _COMPARED}) for view in views
    )


def scope_differences(before: Scopes, after: Scopes) -> Iterator[Difference]:
    """What is different in the scopes, in the order of their addresses."""
    for key in sorted(before.keys() | after.keys(), key=_order):
        old, new = before.get(key), after.get(key)
        if new is None and old is not None:
            yield Difference("removed", key[0], f"its tags were {_shown(old['tags'])}")
        elif old is None and new is not None:
            yield Difference("added", key[0], f"its tags are {_shown(new['tags'])}")
        elif old is not None and new is not None:
            changed = [name for name in _COMPARED if old[name] != new[name]]
            if changed:
                texts = (f"{name} {_shown(old[name])} -> {_shown(new[name])}" for name in changed)
                yield Difference("changed", key[0], "; ".join(texts))


def pool_differences(
    pools: Iterable[tuple[str, Block]],
    before: Scopes,
    after: Scopes,
    holder_of: Callable[[Block], str] = lambda _: "its network",
) -> Iterator[Difference]:
    """What becomes of pools, given by id and subnet. `holder_of` says who holds a subnet."""
    old, new = _Places(before), _Places(after)
    for pool_id, subnet in pools:
        was, is_now = old.around(subnet), new.around(subnet)
        if was == is_now:
            continue
        if is_now is None:
            detail = f"is in no scope, and lives on until {holder_of(subnet)} is removed"
            yield Difference("outside", pool_id, detail)
        else:
            yield Difference("moved", pool_id, f"is in scope {is_now}, was in {was or 'none'}")


class OwnAggregate(NamedTuple):
    """An aggregate of this node, and how many pools it has."""

    block: Block
    pools: int


def claim_differences(
    pools: Iterable[tuple[str, Block]],
    aggregates: Sequence[OwnAggregate],
    before: Scopes,
    after: Scopes,
) -> Iterator[Difference]:
    """What becomes of what nodes claim, and of the pools and aggregates of this node; of the pools
    by id and subnet. Pools are read only where a scope has `node_prefix`."""
    for key in sorted(before.keys() & after.keys(), key=_order):
        was, is_now = before[key]["node_prefix"], after[key]["node_prefix"]
        if was != is_now:
            yield Difference("claims", key[0], _about_claims(was, is_now))
    for key in sorted(after.keys() - before.keys(), key=_order):
        if after[key]["node_prefix"] is not None:
            yield Difference("claims", key[0], _about_claims(None, after[key]["node_prefix"]))
    old, new = _Places(before), _Places(after)
    for aggregate in aggregates:
        if old.node_prefix(aggregate.block) != new.node_prefix(aggregate.block):
            yield _fate_of(aggregate, new.node_prefix(aggregate.block))
    if not any(scope["node_prefix"] for scope in (*before.values(), *after.values())):
        return
    own = _Places({(str(aggregate.block), 0): {} for aggregate in aggregates})
    for pool_id, subnet in pools:
        was, is_now = (places.node_prefix(subnet) is not None for places in (old, new))
        if was == is_now or not is_local(pool_id) or own.around(subnet) is not None:
            continue
        if is_now:
            yield Difference("stray", pool_id, _NOW_STRAY)
        else:
            yield Difference("route", pool_id, _STRAY_NO_LONGER)


_NOW_STRAY = (
    "lies in no aggregate, and stays there until its network is removed; it is announced by itself"
)
_STRAY_NO_LONGER = (
    "lies in no aggregate, and is announced no longer, except with `pyipam routes --exact`"
)


class ClaimedBlock(NamedTuple):
    """A block that a node has claimed; `node` is empty for this one."""

    block: Block
    node: str


def enclosed_differences(
    claimed: Iterable[ClaimedBlock], before: Scopes, after: Scopes
) -> Iterator[Difference]:
    """The scopes that begin to give blocks, and lie as a whole in what a node has claimed for
    another scope."""
    nodes = {str(each.block): each.node for each in claimed}
    places = _Places({(cidr, 0): {} for cidr in nodes})
    for key in sorted(after, key=_order):
        if not _gives_blocks(after[key]) or (key in before and _gives_blocks(before[key])):
            continue
        network = key[0]
        around = places.around(block_of(ip_network(network)))
        if around is None:
            continue
        is_of_scope = around == network and after[key]["node_prefix"] is not None
        if nodes[around] or not is_of_scope:
            yield Difference("inside", network, _about_enclosed(around, nodes[around]))


def _gives_blocks(scope: Mapping[str, object]) -> bool:
    return scope["child_prefix"] is not None and bool(
        scope["pre_seed_children"] or not scope["lock_down"]
    )


def _about_enclosed(around: str, node: str) -> str:
    who = f"node {node}" if node else "this node"
    lies = f"lies in {around}, which {who} has claimed: until that is given back, networks of this"
    if not node:
        return f"{lies} node get blocks of it, and those of other nodes and of swarms none"
    return (
        f"{lies} node get no blocks of it; remove the networks there, and release it on that node "
        f"(`pyipam claims release {around}`)"
    )


def _about_claims(was: object, is_now: object) -> str:
    if not isinstance(is_now, int):
        return (
            "nodes claim no blocks of it, and networks get theirs from all of it; what lies in no "
            "aggregate is announced only with `pyipam routes --exact`"
        )
    no_longer = f", no longer /{was}" if isinstance(was, int) else ""
    most = f"and a network gets at most a /{is_now + 1}"
    return f"nodes claim /{is_now} blocks of it{no_longer}, {most}"


def _fate_of(aggregate: OwnAggregate, node_prefix: object) -> Difference:
    if node_prefix is not None:
        detail = "is an aggregate of this node, and keeps its length"
        return Difference("stays", str(aggregate.block), detail)
    if not aggregate.pools:
        when = "now, as it has no pools"
    elif aggregate.pools == 1:
        when = "once its one pool has ended"
    else:
        when = f"once its {aggregate.pools} pools have ended"
    detail = f"is given back {when}, and free after its rest"
    return Difference("ends", str(aggregate.block), detail)


def _numbered(scopes: Iterable[tuple[str, Mapping[str, object]]]) -> Scopes:
    seen: Counter[str] = Counter()
    found = {}
    for network, described in scopes:
        found[network, seen[network]] = described
        seen[network] += 1
    return found


class _Places:
    """The networks of scopes, to be found by what lies in them."""

    def __init__(self, scopes: Scopes) -> None:
        self._by_length: dict[tuple[int, int], dict[int, str]] = {}
        self._node_prefixes: dict[str, object] = {}
        for (network, _), described in sorted(scopes.items(), key=itemgetter(0)):
            version, start, length = block_of(ip_network(network))
            self._by_length.setdefault((version, length), {})[start] = network
            # Of scopes that are equally large, the deepest one counts.
            self._node_prefixes[network] = described.get("node_prefix")
        self._lengths = sorted(self._by_length, reverse=True)

    def around(self, block: Block) -> str | None:
        """The smallest network that contains the block."""
        for version, length in self._lengths:
            if version == block.version and length <= block.length:
                shift = block.width - length
                found = self._by_length[version, length].get(block.start >> shift << shift)
                if found is not None:
                    return found
        return None

    def node_prefix(self, block: Block) -> object:
        """The `node_prefix` of that network; None if it has none."""
        around = self.around(block)
        return None if around is None else self._node_prefixes[around]


def _described(scope: Scope, parent: Scope | None) -> dict[str, object]:
    """A scope as /v1/scopes shows it."""
    return {
        "parent": None if parent is None else str(parent),
        "child_prefix": scope.child_prefix,
        "tags": sorted(scope.tags),
        "lock_down": scope.lock_down,
        "pre_seed_children": scope.pre_seed_children,
        "reserved": [text_of_range(scope.block.version, item) for item in scope.reserved],
        "reuse_delay": scope.reuse_delay,
        "address_space": scope.address_space,
        "node_prefix": scope.node_prefix,
        "description": scope.description,
    }


def _order(key: _Key) -> tuple[Block, int]:
    return block_of(ip_network(key[0])), key[1]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "none" if value in (None, "") else str(value)
