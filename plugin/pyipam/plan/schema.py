"""The schema: read, validated, and made into scopes (design, section 3; docs/schema.md).

Every error is found at once. Each names the place as a JSON path, the value, and what would do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from pyipam.plan.schema_rules import ROOT_RULES, SCOPE_RULES, KeyRules, member_path, shown
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import TAG
from pyipam.space.block import AddressRange, Network

MAXIMUM_DEPTH = 32
MAXIMUM_SEEDED_CHILDREN = 65_536
MAXIMUM_REUSE_DELAY = 10 * 366 * 24 * 3600


@dataclass(frozen=True)
class SchemaError:
    """One thing that is wrong: where (a JSON path), and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


_TOO_DEEP = SchemaError("$", "lists and objects are nested too deeply to be read")


def read_schema(text: str) -> ScopeTree | list[SchemaError]:
    """The scopes that a schema describes, or every error in it."""
    try:
        document = json.loads(text, object_pairs_hook=_Object.of, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return [SchemaError("$", f"this is no JSON: {error.msg} at {place}")]
    except ValueError as error:
        return [SchemaError("$", f"this is no JSON that can be read: {error}")]
    except RecursionError:
        return [_TOO_DEEP]
    try:
        return _Reader().read(document)
    except RecursionError:
        return [_TOO_DEEP]


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys stood there twice."""

    repeated: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> _Object:
        found = cls(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            found.repeated = tuple(sorted(key for key, count in counts.items() if count > 1))
        return found


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


@dataclass(frozen=True)
class _Context:
    """What a scope takes from where it stands.

    Below a scope that cannot be known, for the errors in it, `parent` is None, though `depth` is
    not 0. `length_unknown` says that the parent's child_prefix is the error.
    """

    path: str
    parent: Scope | None
    depth: int
    length_unknown: bool = False

    def at(self, index: int) -> _Context:
        """The same for one scope of the list."""
        return replace(self, path=f"{self.path}[{index}]")


class _Reader:
    """Builds scopes from a document, collecting errors."""

    def __init__(self) -> None:
        self._errors: list[SchemaError] = []
        self._positions = 0
        self._scope_rules = KeyRules(SCOPE_RULES)

    def read(self, document: Any) -> ScopeTree | list[SchemaError]:
        if not isinstance(document, dict):
            self._error("$", f"the schema must be an object, not {shown(document)}")
            return self._errors
        good = self._check_keys("$", document, KeyRules(ROOT_RULES))
        roots = self._scopes(good.get("scopes", []), _Context("$.scopes", None, 0))
        return self._errors or ScopeTree(roots)

    def _error(self, path: str, message: str) -> None:
        self._errors.append(SchemaError(path, message))

    def _scopes(self, entries: list[Any], context: _Context) -> tuple[Scope, ...]:
        if entries and context.depth >= MAXIMUM_DEPTH:
            self._error(context.path, f"scopes are nested deeper than {MAXIMUM_DEPTH} levels")
            return ()
        found: list[tuple[str, Scope]] = []
        for index, entry in enumerate(entries):
            place = context.at(index)
            scope = self._scope(entry, place)
            if scope is not None:
                found.append((place.path, scope))
        self._check_disjoint(found)
        return tuple(scope for _, scope in found)

    def _scope(self, entry: Any, context: _Context) -> Scope | None:
        if not isinstance(entry, dict):
            self._error(context.path, f"a scope must be an object, not {shown(entry)}")
            return None
        good = self._check_keys(context.path, entry, self._scope_rules)
        tags = self._tags(good.get("tags", []), context)
        network = self._network(entry, good, context)
        reserved = tuple(self._reserved(good, network, context))
        scope = None
        if network is not None:
            scope = self._build(good, network, tags, reserved, context)
        length_unknown = (
            scope is not None and scope.child_prefix is None and "child_prefix" in entry
        )
        children = self._scopes(
            good.get("scopes", []),
            _Context(f"{context.path}.scopes", scope, context.depth + 1, length_unknown),
        )
        if scope is None:
            return None
        if scope.pre_seed_children and not length_unknown:
            self._check_seeded(scope, context.path)
        return replace(scope, children=children)

    def _build(
        self,
        good: Mapping[str, Any],
        network: Network,
        tags: frozenset[str],
        reserved: tuple[AddressRange, ...],
        context: _Context,
    ) -> Scope:
        parent = context.parent
        inherited: frozenset[str] = frozenset()
        above: tuple[AddressRange, ...] = ()
        if parent is not None:
            inherited = parent.tags if parent.propagate_tags else frozenset()
            above = parent.reserved
        self._positions += 1
        return Scope(
            network=network,
            child_prefix=self._child_prefix(good, network, context),
            own_tags=tags,
            tags=tags | inherited,
            propagate_tags=good.get("propagate_tags", True),
            lock_down=good.get("lock_down", False),
            pre_seed_children=good.get("pre_seed_children", False),
            reserved=(*_inside(above, network), *reserved),
            reuse_delay=self._reuse_delay(good, context),
            address_space=good.get("address_space"),
            description=good.get("description", ""),
            depth=context.depth,
            position=self._positions,
        )

    def _check_keys(self, path: str, entry: Mapping[str, Any], rules: KeyRules) -> dict[str, Any]:
        """The entries whose keys are known and whose values have the right type."""
        for key in getattr(entry, "repeated", ()):
            self._error(member_path(path, key), "this key stands here more than once")
        wrong = rules.wrong(entry)
        for key in wrong:
            self._error(member_path(path, key), rules.explain(key, entry))
        return {key: value for key, value in entry.items() if key not in wrong}

    def _tags(self, entries: list[Any], context: _Context) -> frozenset[str]:
        tags = set()
        for index, tag in enumerate(entries):
            if isinstance(tag, str) and TAG.fullmatch(tag):
                tags.add(tag)
            else:
                self._error(
                    f"{context.path}.tags[{index}]",
                    f"{shown(tag)} is no tag: write letters, digits, '_', '.' and '-'",
                )
        return frozenset(tags)

    def _network(
        self, entry: Mapping[str, Any], good: Mapping[str, Any], context: _Context
    ) -> Network | None:
        """The scope's network; None when it cannot be known."""
        if "network" not in good:
            return None
        path = f"{context.path}.network"
        try:
            address = ip_address(good["network"])
        except ValueError:
            self._error(path, f"{shown(good['network'])} is no address of IPv4 or IPv6")
            return None
        if "%" in good["network"]:
            self._error(path, f"{shown(good['network'])} must not name a zone")
            return None
        version = good.get("tcp_ip_version", address.version)
        if version != address.version:
            self._error(
                f"{context.path}.tcp_ip_version",
                f"{version} does not agree with network {address}, which is IPv{address.version}",
            )
        if "prefix" in entry and "prefix" not in good:
            return None
        prefix = self._prefix(good, address.max_prefixlen, context)
        if prefix is None:
            return None
        network = ip_network(f"{address}/{prefix}", strict=False)
        if network.network_address != address:
            self._error(
                path,
                f"{address}/{prefix} has host bits set: the network that it lies in is {network}",
            )
            return None
        self._check_inside(network, context)
        return network

    def _prefix(self, good: Mapping[str, Any], width: int, context: _Context) -> int | None:
        path = f"{context.path}.prefix"
        parent = context.parent
        if "prefix" in good:
            prefix: int = good["prefix"]
        elif context.depth == 0:
            self._error(path, "a root scope must say its prefix (its length in bits)")
            return None
        elif parent is None or context.length_unknown:
            return None
        elif parent.child_prefix is None:
            self._error(path, f"it must be given: the scope above, {parent}, has no child_prefix")
            return None
        else:
            prefix = parent.child_prefix
        if prefix > width:
            self._error(path, f"{prefix} is longer than an address of {width} bits")
            return None
        return prefix

    def _check_inside(self, network: Network, context: _Context) -> None:
        parent = context.parent
        if parent is None:
            return
        path = f"{context.path}.network"
        if parent.network.version != network.version:
            self._error(path, f"{network} is not of the family of the scope above, {parent}")
        elif network.prefixlen < parent.network.prefixlen or not network.overlaps(parent.network):
            self._error(path, f"{network} is not inside the scope above, {parent}")

    def _child_prefix(
        self, good: Mapping[str, Any], network: Network, context: _Context
    ) -> int | None:
        child_prefix: int | None = good.get("child_prefix")
        if child_prefix is None or network.prefixlen <= child_prefix <= network.max_prefixlen:
            return child_prefix
        self._error(
            f"{context.path}.child_prefix",
            f"{child_prefix} must be from {network.prefixlen} (the scope itself) to "
            f"{network.max_prefixlen}",
        )
        return None

    def _reserved(
        self, good: Mapping[str, Any], network: Network | None, context: _Context
    ) -> Iterator[AddressRange]:
        for index, entry in enumerate(good.get("reserved", [])):
            path = f"{context.path}.reserved[{index}]"
            found = _parse_reserved(entry, None if network is None else network.version)
            if found is None:
                self._error(
                    path,
                    f"{shown(entry)} is no IPv{network.version if network else '4 or IPv6'} "
                    "address, range a-b with a not after b, or CIDR without host bits",
                )
            elif network is not None and list(_inside((found,), network)) != [found]:
                self._error(path, f"{shown(entry)} is not inside the scope, {network}")
            else:
                yield found

    def _reuse_delay(self, good: Mapping[str, Any], context: _Context) -> float:
        delay = good.get("reuse_delay", 0)
        if delay > MAXIMUM_REUSE_DELAY:
            self._error(
                f"{context.path}.reuse_delay",
                f"{shown(delay)} is longer than {MAXIMUM_REUSE_DELAY} seconds (ten years)",
            )
            return 0.0
        return float(delay)

    def _check_seeded(self, scope: Scope, path: str) -> None:
        if scope.child_prefix is None:
            self._error(f"{path}.pre_seed_children", "it needs a child_prefix to seed blocks of")
            return
        count = 1 << (scope.child_prefix - scope.network.prefixlen)
        if count > MAXIMUM_SEEDED_CHILDREN:
            self._error(
                f"{path}.pre_seed_children",
                f"{scope} would have {count} children of /{scope.child_prefix}; at most "
                f"{MAXIMUM_SEEDED_CHILDREN} are seeded",
            )

    def _check_disjoint(self, found: list[tuple[str, Scope]]) -> None:
        ordered = sorted(
            found,
            key=lambda item: (
                item[1].network.version,
                int(item[1].network.network_address),
                item[1].network.prefixlen,
            ),
        )
        # In this order, whoever overlaps a later one overlaps the next after it too: networks
        # are either disjoint or one inside the other.
        widest: tuple[str, Scope] | None = None
        for path, scope in ordered:
            if widest is not None and _overlap(widest[1], scope):
                first, second = sorted([widest, (path, scope)], key=lambda item: item[1].position)
                same = first[1].network == second[1].network
                self._error(
                    f"{second[0]}.network",
                    f"{second[1]} {'is the same as' if same else 'overlaps'} {first[1]} at "
                    f"{first[0]}",
                )
            else:
                widest = (path, scope)


def _overlap(one: Scope, other: Scope) -> bool:
    return one.network.version == other.network.version and one.network.overlaps(other.network)


def _inside(ranges: Iterable[AddressRange], network: Network) -> Iterator[AddressRange]:
    first, last = int(network.network_address), int(network.broadcast_address)
    for item in ranges:
        if item.first <= last and item.last >= first:
            yield AddressRange(max(item.first, first), min(item.last, last))


def _parse_reserved(entry: Any, version: int | None) -> AddressRange | None:
    if not isinstance(entry, str) or "%" in entry:
        return None
    try:
        if "/" in entry:
            network = ip_network(entry.strip())
            first, last = network.network_address, network.broadcast_address
        else:
            head, _, tail = entry.partition("-")
            first = ip_address(head.strip())
            last = ip_address(tail.strip()) if "-" in entry else first
    except ValueError:
        return None
    if first.version != last.version or version not in (None, first.version):
        return None
    if int(first) > int(last):
        return None
    return AddressRange(int(first), int(last))
