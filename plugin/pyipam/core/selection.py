"""Which scopes may serve a request, and in which order they are tried.

See "Selecting scopes" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyipam.core.requests import PoolRequest
from pyipam.errors import NotManaged
from pyipam.plan.scope import Scope, is_seeded_child
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import TagFilter
from pyipam.space.block import Network, block_of


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

    Raises NotManaged when the tags select no scope.
    """
    if request.tag_filter is None:
        preferred = (
            tree.in_order(policy.default_filter, request.version) if policy.default_filter else ()
        )
        selected = preferred or tree.in_order(None, request.version)
    else:
        selected = tree.in_order(request.tag_filter, request.version)
    if selected:
        return selected
    tags = ", ".join(tree.tags(request.version)) or "none"
    raise NotManaged(
        f"no scope of the schema serves {described(request)}; the tags of the IPv"
        f"{request.version} scopes that can be drawn from are: {tags}"
    )


def described(request: PoolRequest) -> str:
    """The requested network in words, as messages name it: "an IPv4 network with tags 'web'"."""
    tags = "" if request.tag_filter is None else f" with tags {request.tag_filter.text!r}"
    return f"an IPv{request.version} network{tags}"


def reason_against(scope: Scope, request: PoolRequest) -> str | None:
    """Why the scope never gives a block to such a request, even when all of it is free; or None."""
    length = request.length_in(scope)
    if scope.address_space not in (None, request.space):
        kind = "swarm" if scope.address_space == "global" else "single-host"
        return f"is for {kind} networks only (address_space {scope.address_space})"
    if length < scope.network.prefixlen:
        return f"is smaller than a /{length}"
    if scope.only_children and length != scope.child_prefix:
        return f"gives out only its /{scope.child_prefix} children (lock_down)"
    return None


def scope_for_subnet(
    tree: ScopeTree, policy: Policy, request: PoolRequest, subnet: Network
) -> Scope | None:
    """The scope that contains an explicit subnet; None for an unmanaged subnet that is allowed.

    Raises NotManaged when the subnet may not be given out.
    """
    block = block_of(subnet)
    scope = tree.containing(block)
    covered = [other for other in tree.overlapped_by(block) if other is not scope]
    if covered:
        first = min(covered, key=lambda other: (other.depth, other.position))
        raise NotManaged(
            f"subnet {subnet} overlaps scope {first}, which has its own blocks; ask for a "
            "subnet inside that scope, or outside every scope below the one you mean"
        )
    if scope is None:
        if policy.allow_unmanaged:
            return None
        choice = _listed(root for root in tree.roots if root.network.version == subnet.version)
        raise NotManaged(
            f"subnet {subnet} is outside every scope of the schema ({choice}); ask for one "
            "inside them, or set ALLOW_UNMANAGED=true on the plugin"
        )
    if not scope.can_be_drawn_from or (scope.only_children and not is_seeded_child(scope, subnet)):
        choice = _listed(tree.in_order(None, subnet.version))
        raise NotManaged(
            f"subnet {subnet} is in scope {scope}, {_why_not_drawn(scope)}; subnets are "
            f"available in: {choice}"
        )
    if request.tag_filter is not None and not request.tag_filter.matches(scope):
        tags = ", ".join(sorted(scope.tags)) or "none"
        raise NotManaged(
            f"subnet {subnet} is in scope {scope}, which the tags {request.tag_filter.text!r} do "
            f"not select (its tags are: {tags}); leave out the tags, or ask for a subnet in "
            "another scope"
        )
    return scope


def _why_not_drawn(scope: Scope) -> str:
    if scope.child_prefix is None:
        return "which has no child_prefix and therefore gives out nothing"
    if scope.only_children:
        return f"which gives out only its /{scope.child_prefix} children (lock_down)"
    return "which gives out nothing from its own space (lock_down)"


def _listed(scopes: Iterable[Scope]) -> str:
    names = [str(scope) for scope in scopes]
    shown = ", ".join(names[:12]) or "none"
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"
