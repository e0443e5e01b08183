"""Which scopes may serve a request, and in which order they are tried.

See "Selecting scopes" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, auto

from pyipam.core.requests import PoolRequest
from pyipam.errors import InvalidRequest, NotManaged, listed
from pyipam.plan.scope import Scope, is_seeded_child
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import TagFilter
from pyipam.plan.unusable import purpose_of, unusable_part
from pyipam.space.block import Network, block_of

# How many scopes a refusal names.
_MOST_LISTED = 12


@dataclass(frozen=True)
class Policy:
    """What the operator set besides the schema: the tags that serve networks without any, and
    whether a subnet may lie outside every scope. `refusal` is the reason why no new pool is given
    out now, or None; existing pools keep working."""

    default_filter: TagFilter | None = None
    allow_unmanaged: bool = False
    refusal: str | None = None


def scopes_for_block(tree: ScopeTree, policy: Policy, request: PoolRequest) -> tuple[Scope, ...]:
    """The scopes to try for an automatic block, in order.

    Raises NotManaged when the tags select no scope, and InvalidRequest for a block of one address.
    """
    width = 32 if request.version == 4 else 128
    if request.length == width:
        raise InvalidRequest(
            f"a /{width} has room for the network's gateway alone, and for no container; ask for "
            f"a block of at least /{width - 2}"
        )
    if request.tag_filter is None:
        preferred = (
            tree.in_order(policy.default_filter, request.version) if policy.default_filter else ()
        )
        selected = preferred or tree.in_order(None, request.version)
    else:
        selected = tree.in_order(request.tag_filter, request.version)
    if selected:
        return selected
    raise NotManaged(_why_none_selected(tree, request))


def _why_none_selected(tree: ScopeTree, request: PoolRequest) -> str:
    tags = tree.tags(request.version)
    served = f"no scope of the schema serves {described(request)}"
    if request.tag_filter is None:
        return (
            f"{served}: the schema has no IPv{request.version} scope with a child_prefix; add one, "
            "or ask for another IP version"
        )
    required = sorted({tag for term in request.tag_filter.terms for tag in term.required})
    unknown = [_why_unknown(tree, tag, request.version) for tag in required if tag not in tags]
    why = "; ".join(unknown) or "no scope matches this combination of tags"
    return (
        f"{served}: {why}; the tags of the IPv{request.version} scopes that can be drawn from are: "
        f"{', '.join(tags) or 'none'}"
    )


def _why_unknown(tree: ScopeTree, tag: str, version: int) -> str:
    carrying = [scope for scope in tree if tag in scope.tags]
    same_version = [scope for scope in carrying if scope.network.version == version]
    if same_version:
        return f"tag {tag!r} is only on scopes that give out nothing ({_listed(same_version)})"
    if carrying:
        return f"tag {tag!r} is only on scopes of the other IP version ({_listed(carrying)})"
    nearest = get_close_matches(tag, tree.tags(version), 1)
    return f"no scope has tag {tag!r}" + (f", did you mean {nearest[0]!r}?" if nearest else "")


def described(request: PoolRequest) -> str:
    """The requested network in words, as messages name it: "an IPv4 network with tags 'web'"."""
    tags = "" if request.tag_filter is None else f" with tags {request.tag_filter.text!r}"
    return f"an IPv{request.version} network{tags}"


class Reason(Enum):
    """Why a scope never gives a block to a request, even when all of it is free."""

    ADDRESS_SPACE = auto()
    TOO_SMALL = auto()
    ONLY_CHILDREN = auto()
    NODE_PREFIX = auto()


def reason_against(scope: Scope, request: PoolRequest) -> Reason | None:
    """Why the scope never gives a block to such a request; None if it may."""
    length = request.length_in(scope)
    if scope.address_space not in (None, request.space):
        return Reason.ADDRESS_SPACE
    if length < scope.network.prefixlen:
        return Reason.TOO_SMALL
    if scope.only_children and length != scope.child_prefix:
        return Reason.ONLY_CHILDREN
    if scope.node_prefix is not None and length <= scope.node_prefix:
        return Reason.NODE_PREFIX
    return None


def scope_for_subnet(
    tree: ScopeTree, policy: Policy, request: PoolRequest, subnet: Network
) -> Scope | None:
    """The scope that contains an explicit subnet; None for an unmanaged subnet that is allowed.

    Raises NotManaged when the subnet may not be given out.
    """
    scope = _scope_around(tree, request, subnet)
    if scope is not None:
        _check_gives_out(tree, request, scope, subnet)
        _check_selected(request, scope, subnet)
    else:
        _check_usable(subnet)
        if not policy.allow_unmanaged:
            raise _outside_every_scope(tree, subnet)
    return scope


def _scope_around(tree: ScopeTree, request: PoolRequest, subnet: Network) -> Scope | None:
    """The scope that contains a subnet; None if it lies outside all of them. Raises NotManaged if
    it overlaps one."""
    block = block_of(subnet)
    scope = tree.containing(block)
    covered = [other for other in tree.overlapped_by(block) if other is not scope]
    if covered:
        first = min(covered, key=lambda other: (other.depth, other.position))
        raise NotManaged(
            f"subnet {subnet} overlaps scope {first} without lying inside it; ask for a subnet "
            f"that lies in one scope alone, of: {_available(tree, request, subnet)}"
        )
    return scope


def _outside_every_scope(tree: ScopeTree, subnet: Network) -> NotManaged:
    roots = [root for root in tree.roots if root.network.version == subnet.version]
    if not roots:
        return NotManaged(
            f"subnet {subnet} is outside every scope of the schema, which has none for IPv"
            f"{subnet.version}; add one, or set ALLOW_UNMANAGED=true on the plugin"
        )
    return NotManaged(
        f"subnet {subnet} is outside every scope of the schema ({_listed(roots)}); ask for one "
        "inside them, or set ALLOW_UNMANAGED=true on the plugin"
    )


def _check_gives_out(tree: ScopeTree, request: PoolRequest, scope: Scope, subnet: Network) -> None:
    """Raise NotManaged if the scope does not give out a subnet in it."""
    if scope.only_children and not is_seeded_child(scope, subnet):
        raise NotManaged(
            f"subnet {subnet} is in scope {scope}, which gives out only its /{scope.child_prefix} "
            f"children (lock_down); ask for one of those, or for a subnet of another scope"
        )
    if _spans_nodes_that_claim(request, scope):
        raise NotManaged(
            f"subnet {subnet} is in scope {scope}, of which each node claims blocks for itself "
            "(node_prefix), and a network of a swarm spans nodes; ask for a subnet of another scope"
        )
    if not scope.can_be_drawn_from:
        raise NotManaged(
            f"subnet {subnet} is in scope {scope}, {_why_not_drawn(scope)}; subnets are "
            f"available in: {_available(tree, request, subnet)}"
        )


def _spans_nodes_that_claim(request: PoolRequest, scope: Scope) -> bool:
    """Whether a network is of a swarm, and each node claims its own part of the scope."""
    return scope.node_prefix is not None and request.space == "global"


def _check_selected(request: PoolRequest, scope: Scope, subnet: Network) -> None:
    """Raise NotManaged if the tags that are asked for do not select the scope of the subnet."""
    if request.tag_filter is not None and not request.tag_filter.matches(scope):
        tags = ", ".join(sorted(scope.tags)) or "none"
        raise NotManaged(
            f"subnet {subnet} is in scope {scope}, which the tags {request.tag_filter.text!r} do "
            f"not select (its tags are: {tags}); leave out the tags, or ask for a subnet in "
            "another scope"
        )


def _check_usable(subnet: Network) -> None:
    unusable = unusable_part(subnet)
    if unusable is not None:
        relation = "is in" if unusable.prefixlen <= subnet.prefixlen else "contains"
        raise NotManaged(
            f"subnet {subnet} {relation} {unusable} ({purpose_of(unusable)}), which hosts cannot "
            "use; ask for another subnet"
        )


def scope_for_repeated_subnet(
    tree: ScopeTree, policy: Policy, request: PoolRequest, subnet: Network
) -> tuple[Scope | None, str]:
    """The scope that contains the subnet of a network that exists, or None; and why the schema
    would refuse it to a new network, empty if it would not. It is served in any case."""
    try:
        return scope_for_subnet(tree, policy, request, subnet), ""
    except NotManaged as error:
        return tree.containing(block_of(subnet)), str(error)


def _why_not_drawn(scope: Scope) -> str:
    if scope.child_prefix is None:
        return "which has no child_prefix and therefore gives out nothing"
    return "which gives out nothing from its own space (lock_down)"


def _available(tree: ScopeTree, request: PoolRequest, subnet: Network) -> str:
    """The scopes that would give out a subnet like this to such a request: those that its tags
    select, or all if these select none."""
    for selected in (request.tag_filter, None):
        scopes = tree.in_order(selected, subnet.version)
        giving = [each for each in scopes if not _spans_nodes_that_claim(request, each)]
        if giving:
            return _listed(giving)
    return "none"


def _listed(scopes: Iterable[Scope]) -> str:
    # A scope may be as large as the one around it.
    return listed(list(dict.fromkeys(map(str, scopes))), _MOST_LISTED) or "none"
