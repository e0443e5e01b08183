"""How many blocks nodes can claim of each scope, and what about `node_prefix` was probably not
intended."""

from __future__ import annotations

from collections.abc import Iterator

from pyipam.cli.tables import shown_count
from pyipam.core.reserved import unusable_ranges
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import AddressRange, merge_ranges


def notes_about_claims(tree: ScopeTree) -> Iterator[tuple[Scope, str]]:
    """Each scope that nodes can claim blocks of, and a sentence that says how many."""
    for scope in tree:
        if scope.node_prefix is None or scope.child_prefix is None or not scope.can_be_drawn_from:
            continue
        node_prefix, child_prefix = scope.node_prefix, scope.child_prefix
        claimable = _count_claimable(scope, node_prefix)
        if not claimable:
            continue
        blocks = shown_count(claimable)
        networks = shown_count(1 << (child_prefix - node_prefix))
        if claimable == 1:
            claim = f"one node can claim the one block of /{node_prefix} of scope {scope},"
        else:
            claim = f"nodes can claim {blocks} blocks of /{node_prefix} from scope {scope}, each"
        sentence = (
            f"{claim} for {networks} networks of /{child_prefix}; a network that asks for another "
            f"length gets at most a /{node_prefix + 1}"
        )
        if node_prefix == scope.block.length:
            sentence += "; the scope is for a host that shares its plan with no other"
        yield scope, sentence


def advice_about_claims(tree: ScopeTree) -> Iterator[tuple[Scope, str]]:
    """Each scope of which something is to be said, and the sentence."""
    for scope in tree:
        if scope.node_prefix is not None:
            for sentence in _about(scope, scope.node_prefix):
                yield scope, sentence
            yield from _about_scopes_below(scope, scope.node_prefix)


def _about(scope: Scope, node_prefix: int) -> Iterator[str]:
    if not scope.can_be_drawn_from:
        yield (
            f"scope {scope} gives out nothing from its own space (lock_down): no node claims "
            "blocks of it, and node_prefix has no effect"
        )
        return
    claimable = _count_claimable(scope, node_prefix)
    if claimable == 0:
        yield (
            f"scope {scope} has no block of /{node_prefix} for nodes to claim: scopes below it "
            "have a part of each, or it is reserved"
        )
    # A scope that is one block as a whole is the plan of one host.
    if claimable == 1 and node_prefix > scope.block.length:
        yield (
            f"scope {scope} has one block of /{node_prefix} for nodes to claim: one node alone "
            "gets networks there; make node_prefix longer"
        )
    if scope.child_prefix == node_prefix + 1:
        yield (
            f"a block that a node claims from scope {scope} has room for two networks: a node "
            "announces a prefix for every two; make node_prefix shorter"
        )


def _count_claimable(scope: Scope, node_prefix: int) -> int:
    """How many blocks of `node_prefix` have room for a network that is not reserved, and no address
    in common with a scope below."""
    own, shift = scope.block, scope.block.width - node_prefix
    taken = [
        AddressRange(child.block.start >> shift, child.block.last >> shift)
        for child in scope.children
    ]
    for item in unusable_ranges(scope, scope.child_prefix):
        first, last = max(item.first, own.start), min(item.last, own.last)
        # Of numbers of blocks: from the first that begins in the range to the last that ends there.
        taken.append(AddressRange(-(-first >> shift), ((last + 1) >> shift) - 1))
    merged = merge_ranges(each for each in taken if each.first <= each.last)
    return (1 << (node_prefix - own.length)) - sum(each.last - each.first + 1 for each in merged)


def _about_scopes_below(scope: Scope, node_prefix: int) -> Iterator[tuple[Scope, str]]:
    for child in scope.children:
        if child.block.length > node_prefix:
            around = child.block.widened_to(node_prefix)
            yield (
                child,
                f"scope {child} is a part of {around}, which therefore no node can claim from "
                f"scope {scope}: move it, or make it as large",
            )
