"""The address plan: scopes, the tree they form, and the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pyipam.errors import InvalidRequest
from pyipam.space.buddy import AddressRange, Block, block_of

Network = IPv4Network | IPv6Network
AddressSpace = Literal["local", "global"]

TAG = re.compile(r"[A-Za-z0-9_.-]+")
_LONGEST_FILTER = 4096


@dataclass(frozen=True, eq=False)
class Scope:
    """A stretch of the plan (design, section 3).

    `tags` and `reserved` are the effective ones: what ancestors propagate is in them. `position`
    is the scope's place in the schema, counted from its top; `depth` is 0 for a root.
    """

    network: Network
    child_prefix: int | None = None
    own_tags: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    propagate_tags: bool = True
    lock_down: bool = False
    pre_seed_children: bool = False
    reserved: tuple[AddressRange, ...] = ()
    reuse_delay: float = 0.0
    address_space: AddressSpace | None = None
    description: str = ""
    depth: int = 0
    position: int = 0
    children: tuple[Scope, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return str(self.network)

    @cached_property
    def block(self) -> Block:
        """The network, in integers."""
        return block_of(self.network)

    @property
    def can_be_drawn_from(self) -> bool:
        """Whether blocks come out of the scope's own space, be they only its seeded children."""
        return self.child_prefix is not None and (not self.lock_down or self.pre_seed_children)

    @property
    def only_children(self) -> bool:
        """Whether nothing but the blocks that it pre-seeds can be drawn."""
        return self.lock_down and self.pre_seed_children


def is_seeded_child(scope: Scope, network: Network) -> bool:
    """Whether the network is one of the blocks that the scope pre-seeds."""
    return scope.pre_seed_children and network.prefixlen == scope.child_prefix


def seeded_children(scope: Scope) -> Iterator[Network]:
    """The blocks that a scope makes known beforehand: all of its own space, in order."""
    if not scope.pre_seed_children or scope.child_prefix is None:
        return
    for block in scope.network.subnets(new_prefix=scope.child_prefix):
        if not any(block.overlaps(child.network) for child in scope.children):
            yield block


@dataclass(frozen=True)
class Term:
    """Tags that a scope must carry, and tags that it must not."""

    required: frozenset[str]
    forbidden: frozenset[str]

    def matches(self, scope: Scope) -> bool:
        return self.required <= scope.tags and not self.forbidden & scope.tags


@dataclass(frozen=True)
class TagFilter:
    """Terms in order of preference (design, section 4)."""

    text: str
    terms: tuple[Term, ...]

    def __hash__(self) -> int:
        return hash(self.text)

    def matches(self, scope: Scope) -> bool:
        return any(term.matches(scope) for term in self.terms)


def parse_tag_filter(text: str, name: str = "scope_filter_tags") -> TagFilter | None:
    """Read `a+!b,c`; None when nothing but blanks and quotes is there.

    Raises InvalidRequest naming the term that cannot be read and the option `name`.
    """
    if len(text) > _LONGEST_FILTER:
        raise InvalidRequest(f"{name} is longer than {_LONGEST_FILTER} characters: name fewer tags")
    return _parse_tag_filter(text, name)


@lru_cache(maxsize=64)
def _parse_tag_filter(text: str, name: str) -> TagFilter | None:
    stripped = _strip(text)
    if not stripped:
        return None
    terms = tuple(_parse_term(term, text, name) for term in stripped.split(","))
    return TagFilter(stripped, terms)


def _strip(text: str) -> str:
    return text.strip(" \t\r\n\"'")


def _parse_term(term: str, text: str, name: str) -> Term:
    required: set[str] = set()
    forbidden: set[str] = set()
    for part in term.split("+"):
        tag = _strip(part)
        names = required
        if tag.startswith("!"):
            tag, names = _strip(tag[1:]), forbidden
        if not TAG.fullmatch(tag):
            raise InvalidRequest(
                f"{name}={text!r} cannot be read at {part!r}: write tags (letters, digits, '_', "
                "'.', '-') joined by '+' where all must be there, '!' before one that must not "
                "be, and ',' between alternatives, the preferred first"
            )
        names.add(tag)
    return Term(frozenset(required), frozenset(forbidden))


class ScopeTree:
    """All scopes of a schema. Immutable; made anew when the schema changes."""

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
        """The scopes of either version by their first addresses, the longest prefixes first."""
        found: dict[int, dict[int, dict[int, Scope]]] = {4: {}, 6: {}}
        for scope in self:
            version, start, length = scope.block
            # A child may be as large as its parent: the deeper one is the one that counts.
            found[version].setdefault(length, {})[start] = scope
        return {version: sorted(scopes.items(), reverse=True) for version, scopes in found.items()}

    @cached_property
    def _preferred(self) -> list[Scope]:
        drawable = (scope for scope in self if scope.can_be_drawn_from)
        return sorted(drawable, key=lambda scope: (-scope.depth, scope.position))

    def in_order(self, tag_filter: TagFilter | None, version: int) -> tuple[Scope, ...]:
        """The scopes that can be drawn from, in the order in which they are tried."""
        return self._known_orders(tag_filter, version)

    def _find_order(self, tag_filter: TagFilter | None, version: int) -> tuple[Scope, ...]:
        scopes = tuple(scope for scope in self._preferred if scope.network.version == version)
        if tag_filter is None:
            return scopes
        ordered: dict[Scope, None] = {}
        for term in tag_filter.terms:
            ordered.update((scope, None) for scope in scopes if term.matches(scope))
        return tuple(ordered)

    def containing(self, block: Block) -> Scope | None:
        """The deepest scope that the whole block lies in."""
        width = block.width
        for length, scopes in self._by_length[block.version]:
            if length <= block.length:
                shift = width - length
                found = scopes.get(block.start >> shift << shift)
                if found is not None:
                    return found
        return None

    def overlapped_by(self, block: Block) -> list[Scope]:
        """Every scope out of whose own space the block takes something."""
        container = self.containing(block)
        found = [] if container is None else [container]
        pending = list(self.roots if container is None else container.children)
        while pending:
            scope = pending.pop()
            if scope.block.overlaps(block):
                found.append(scope)
                pending.extend(scope.children)
        return found

    def tags(self, version: int) -> list[str]:
        """Tags by which something of this family can be drawn, sorted."""
        found: set[str] = set()
        for scope in self.in_order(None, version):
            found |= scope.tags
        return sorted(found)
