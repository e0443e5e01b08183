"""The scopes of a schema as a tree, and the order in which they are tried."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from pyipam.plan.reserved import text_of_entry
from pyipam.plan.scope import Scope
from pyipam.plan.tag_filter import TagFilter
from pyipam.space.block import AddressRange, Block


class ReservedEntry(NamedTuple):
    """What an entry under `reserved` says, and the scope of the schema that has it."""

    addresses: AddressRange
    scope: Scope

    def __str__(self) -> str:
        return f"{text_of_entry(self.scope.block.version, self.addresses)} (scope {self.scope})"


class ScopeTree:
    """All scopes of a schema. Immutable: another schema has another tree."""

    def __init__(self, roots: Iterable[Scope] = ()) -> None:
        self.roots = tuple(roots)
        self._known_orders = lru_cache(maxsize=64)(self._find_order)

    def __iter__(self) -> Iterator[Scope]:
        """Every scope in the order of the schema, parents before children."""
        pending = list(reversed(self.roots))
        while pending:
            scope = pending.pop()
            yield scope
            pending.extend(reversed(scope.children))

    @cached_property
    def _by_length(self) -> dict[int, list[tuple[int, dict[int, Scope]]]]:
        """For each IP version: the prefix lengths of its scopes, the longest first, each with the
        scopes by their first addresses."""
        found: dict[int, dict[int, dict[int, Scope]]] = {4: {}, 6: {}}
        for scope in self:
            version, start, length = scope.block
            # A child may be as large as its parent, and comes after it: the deeper one counts.
            found[version].setdefault(length, {})[start] = scope
        return {version: sorted(scopes.items(), reverse=True) for version, scopes in found.items()}

    @cached_property
    def _preferred(self) -> list[Scope]:
        drawable = (scope for scope in self if scope.can_be_drawn_from)
        return sorted(drawable, key=lambda scope: (-scope.depth, scope.position))

    def in_order(self, tag_filter: TagFilter | None, version: int) -> tuple[Scope, ...]:
        """The scopes of an IP version that can be drawn from, in the order to try them.

        A filter of None selects all of them.
        """
        return self._known_orders(tag_filter, version)

    def _find_order(self, tag_filter: TagFilter | None, version: int) -> tuple[Scope, ...]:
        scopes = tuple(scope for scope in self._preferred if scope.network.version == version)
        if tag_filter is None:
            return scopes
        ordered: dict[Scope, None] = {}
        for term in tag_filter.terms:
            ordered.update((scope, None) for scope in scopes if term.matches(scope))
        return tuple(ordered)

    def roots_drawn_from(self) -> list[Scope]:
        """The roots in which there is a scope that can be drawn from."""
        return [
            root
            for root in self.roots
            if any(root.block.overlaps(scope.block) for scope in self._preferred)
        ]

    def containing(self, block: Block) -> Scope | None:
        """The deepest scope that contains the whole block, or None."""
        width = block.width
        for length, scopes in self._by_length[block.version]:
            if length <= block.length:
                shift = width - length
                found = scopes.get(block.start >> shift << shift)
                if found is not None:
                    return found
        return None

    def parents(self) -> dict[Scope, Scope]:
        """The parent of each scope that has one."""
        return {child: scope for scope in self for child in scope.children}

    def overlapped_by(self, block: Block) -> list[Scope]:
        """Every scope of whose own space the block covers a part."""
        container = self.containing(block)
        if container is not None and not container.children:
            return [container]
        found = [] if container is None else [container]
        pending = list(self.roots if container is None else container.children)
        while pending:
            scope = pending.pop()
            if scope.block.overlaps(block):
                found.append(scope)
                pending.extend(scope.children)
        return found

    def reserved_entries(self, scope: Scope) -> Sequence[ReservedEntry]:
        """The entries that have a part of a scope: its own, then those of the scopes around it,
        from the inside out."""
        return self._reserved_entries[scope]

    @cached_property
    def _reserved_entries(self) -> dict[Scope, list[ReservedEntry]]:
        found: dict[Scope, list[ReservedEntry]] = {root: [] for root in self.roots}
        for scope in self:
            inherited = found[scope]
            # Those of a scope itself come after those that it inherits.
            own = [ReservedEntry(item, scope) for item in scope.reserved[len(inherited) :]]
            found[scope] = [*own, *inherited]
            found.update(_handed_down(scope, found[scope]))
        return found

    def tags(self, version: int) -> list[str]:
        """The tags of the scopes of this IP version that can be drawn from, sorted."""
        found: set[str] = set()
        for scope in self.in_order(None, version):
            found |= scope.tags
        return sorted(found)


def _handed_down(
    scope: Scope, entries: Iterable[ReservedEntry]
) -> dict[Scope, list[ReservedEntry]]:
    """The entries that have a part of each child of a scope."""
    children = sorted(scope.children, key=lambda child: child.block.start)
    ends = [child.block.last for child in children]
    starts = [child.block.start for child in children]
    found: dict[Scope, list[ReservedEntry]] = {child: [] for child in children}
    # A plan may have thousands of scopes, and as many entries around them.
    for entry in entries:
        first, end = (
            bisect_left(ends, entry.addresses.first),
            bisect_right(starts, entry.addresses.last),
        )
        for child in children[first:end]:
            found[child].append(entry)
    return found
