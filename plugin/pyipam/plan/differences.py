"""What another schema means: scopes that are added, removed or changed, and pools that then lie
elsewhere. The log of an edit says it, and `pyipam diff` before the edit, in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block, block_of, text_of_range

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
    """Something that is different: a scope that is added, removed or changed (`kind`), or a pool
    that is outside every scope, or moved to another one."""

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
        for network, _ in scopes:
            version, start, length = block_of(ip_network(network))
            self._by_length.setdefault((version, length), {})[start] = network
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
