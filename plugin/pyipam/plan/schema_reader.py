"""The scopes of a schema, made from its JSON document, and every error in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from pyipam.plan.object_rules import DocumentError, ObjectRules, member_path, shown
from pyipam.plan.reserved import clip, parse_reserved
from pyipam.plan.schema_rules import ROOT_RULES, SCOPE_RULES
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import TAG
from pyipam.plan.unusable import purpose_of, unusable_part
from pyipam.space.block import AddressRange, Network, find_overlaps

MAX_DEPTH = 32
MAX_SEEDED_CHILDREN = 65_536
MAX_REUSE_DELAY_SECONDS = 10 * 366 * 24 * 3600


@dataclass(frozen=True)
class _Context:
    """Where a scope is in the schema, and what it takes from its parent.

    Scopes below one that has errors are checked too. If the network of that one is unknown,
    `parent` is None although `depth` is not 0. `length_unknown` is set if its child_prefix, which
    would be the default of `prefix`, is wrong.
    """

    path: str
    parent: Scope | None
    depth: int
    length_unknown: bool = False

    def at(self, index: int) -> _Context:
        """The place of one scope in the list of scopes at this path."""
        return replace(self, path=f"{self.path}[{index}]")


class SchemaReader:
    """Makes scopes from a document and collects errors. Good for one document."""

    def __init__(self) -> None:
        self._errors: list[DocumentError] = []
        self._positions = 0
        self._scope_rules = ObjectRules(SCOPE_RULES)

    def read(self, document: Any) -> ScopeTree | list[DocumentError]:
        """The scopes, or the errors. Raises RecursionError if the document is nested too deeply."""
        if not isinstance(document, dict):
            self._error("$", f"the schema must be an object, not {shown(document)}")
            return self._errors
        good = self._check_keys("$", document, ObjectRules(ROOT_RULES))
        roots = self._scopes(good.get("scopes", []), _Context("$.scopes", None, 0))
        return self._errors or ScopeTree(roots)

    def _error(self, path: str, message: str) -> None:
        self._errors.append(DocumentError(path, message))

    def _scopes(self, entries: list[Any], context: _Context) -> tuple[Scope, ...]:
        if entries and context.depth >= MAX_DEPTH:
            self._error(context.path, f"scopes are nested deeper than {MAX_DEPTH} levels")
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
        self._check_usable(scope, context.path)
        self._check_room(scope, context.path)
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
        child_prefix = self._child_prefix(good, network, context)
        node_prefix = self._node_prefix(good, network, child_prefix, context)
        return Scope(
            network=network,
            child_prefix=child_prefix,
            own_tags=tags,
            tags=tags | inherited,
            propagate_tags=good.get("propagate_tags", True),
            lock_down=good.get("lock_down", False),
            pre_seed_children=good.get("pre_seed_children", False),
            reserved=(*clip(above, network), *reserved),
            reuse_delay=self._reuse_delay(good, context),
            address_space="local" if "node_prefix" in good else good.get("address_space"),
            description=good.get("description", ""),
            node_prefix=node_prefix,
            depth=context.depth,
            position=self._positions,
        )

    def _check_keys(
        self, path: str, entry: Mapping[str, Any], rules: ObjectRules
    ) -> dict[str, Any]:
        """The members that keep the rules."""
        for key in getattr(entry, "repeated", ()):
            self._error(member_path(path, key), "this key is given more than once")
        wrong = rules.errors(path, entry)
        for errors in wrong.values():
            self._errors += errors
        return {key: value for key, value in entry.items() if key not in wrong}

    def _tags(self, entries: list[Any], context: _Context) -> frozenset[str]:
        tags = set()
        for index, tag in enumerate(entries):
            if isinstance(tag, str) and TAG.fullmatch(tag):
                tags.add(tag)
            else:
                self._error(
                    f"{context.path}.tags[{index}]",
                    f"{shown(tag)} is not a valid tag: use letters, digits, '_', '.' and '-'",
                )
        return frozenset(tags)

    def _network(
        self, entry: Mapping[str, Any], good: Mapping[str, Any], context: _Context
    ) -> Network | None:
        """The scope's network; None if it cannot be known because of an error."""
        if "network" not in good:
            return None
        path = f"{context.path}.network"
        try:
            address = ip_address(good["network"])
        except ValueError:
            self._error(path, f"{shown(good['network'])} is not an IPv4 or IPv6 address")
            return None
        if "%" in good["network"]:
            self._error(path, f"{shown(good['network'])} must not have a zone")
            return None
        version = good.get("tcp_ip_version", address.version)
        if version != address.version:
            self._error(
                f"{context.path}.tcp_ip_version",
                f"{version} does not match network {address}, which is IPv{address.version}",
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
                f"{address}/{prefix} has host bits set; did you mean {network}?",
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
            self._error(path, "it is missing; a root scope must have a prefix")
            return None
        elif parent is None or context.length_unknown:
            return None
        elif parent.child_prefix is None:
            self._error(path, f"it is missing, and the parent, {parent}, has no child_prefix")
            return None
        else:
            prefix = parent.child_prefix
        if prefix > width:
            self._error(path, f"{prefix} is longer than an address, which has {width} bits")
            return None
        return prefix

    def _check_inside(self, network: Network, context: _Context) -> None:
        parent = context.parent
        if parent is None:
            return
        path = f"{context.path}.network"
        if parent.network.version != network.version:
            self._error(path, f"{network} is not of the IP version of its parent, {parent}")
        elif network.prefixlen < parent.network.prefixlen or not network.overlaps(parent.network):
            self._error(path, f"{network} is not inside its parent, {parent}")

    def _child_prefix(
        self, good: Mapping[str, Any], network: Network, context: _Context
    ) -> int | None:
        child_prefix: int | None = good.get("child_prefix")
        if child_prefix is None or network.prefixlen <= child_prefix <= network.max_prefixlen:
            return child_prefix
        self._error(
            f"{context.path}.child_prefix",
            f"it must be from {network.prefixlen} (the length of the scope) to "
            f"{network.max_prefixlen}, not {child_prefix}",
        )
        return None

    def _node_prefix(
        self,
        good: Mapping[str, Any],
        network: Network,
        child_prefix: int | None,
        context: _Context,
    ) -> int | None:
        if "node_prefix" not in good:
            return None
        if good.get("address_space") == "global":
            self._error(
                f"{context.path}.address_space",
                'it must be "local" or left out: the blocks of a scope with node_prefix are for '
                "networks of single hosts, and a network of a swarm spans nodes",
            )
        if good.get("pre_seed_children"):
            self._error(
                f"{context.path}.pre_seed_children",
                "it must be false or left out: nodes claim the blocks of a scope with node_prefix "
                "when they need them",
            )
        node_prefix: int = good["node_prefix"]
        path = f"{context.path}.node_prefix"
        if child_prefix is None:
            # That it is wrong has been said of child_prefix.
            if "child_prefix" not in good:
                self._error(path, "it needs a child_prefix, which must be longer")
        elif not network.prefixlen <= node_prefix < child_prefix:
            longest = child_prefix - 1
            self._error(
                path,
                f"it must be from {network.prefixlen} (the length of the scope) to {longest} "
                f"(shorter than child_prefix), not {node_prefix}"
                if network.prefixlen <= longest
                else f"{network} has no room for it: it must be shorter than child_prefix, and not "
                "shorter than the scope",
            )
        else:
            return node_prefix
        return None

    def _reserved(
        self, good: Mapping[str, Any], network: Network | None, context: _Context
    ) -> Iterator[AddressRange]:
        for index, entry in enumerate(good.get("reserved", [])):
            path = f"{context.path}.reserved[{index}]"
            found = parse_reserved(entry, None if network is None else network.version)
            if found is None:
                versions = f"IPv{network.version}" if network else "IPv4 or IPv6"
                self._error(
                    path,
                    f"{shown(entry)} is not an {versions} address, a range a-b in ascending order, "
                    "or a CIDR without host bits",
                )
            elif network is not None and list(clip((found,), network)) != [found]:
                self._error(path, f"{shown(entry)} is not inside the scope, {network}")
            else:
                yield found

    def _reuse_delay(self, good: Mapping[str, Any], context: _Context) -> float:
        delay = good.get("reuse_delay", 0)
        if delay > MAX_REUSE_DELAY_SECONDS:
            self._error(
                f"{context.path}.reuse_delay",
                f"it must be at most {MAX_REUSE_DELAY_SECONDS} seconds (ten years), not "
                f"{shown(delay)}",
            )
            return 0.0
        return float(delay)

    def _check_usable(self, scope: Scope, path: str) -> None:
        unusable = unusable_part(scope.network) if scope.can_be_drawn_from else None
        if unusable is None:
            return
        if unusable.prefixlen <= scope.network.prefixlen:
            relation, cure = "is in", "choose another network"
        else:
            relation = "contains"
            cure = "leave out its child_prefix, and put scopes into the parts that can be used"
        self._error(
            f"{path}.network",
            f"no network can get a subnet from {scope}: it {relation} {unusable} "
            f"({purpose_of(unusable)}), which hosts cannot use; {cure}",
        )

    def _check_room(self, scope: Scope, path: str) -> None:
        width = scope.network.max_prefixlen
        if scope.child_prefix == width and scope.can_be_drawn_from:
            self._error(
                f"{path}.child_prefix",
                f"it must be at most {width - 1}, not {width}: a block of one address has room for "
                "the gateway of a network, and for no container",
            )

    def _check_seeded(self, scope: Scope, path: str) -> None:
        if scope.child_prefix is None:
            self._error(f"{path}.pre_seed_children", "it needs a child_prefix")
            return
        count = 1 << (scope.child_prefix - scope.network.prefixlen)
        if count > MAX_SEEDED_CHILDREN:
            self._error(
                f"{path}.pre_seed_children",
                f"{scope} would have {count} children of /{scope.child_prefix}; at most "
                f"{MAX_SEEDED_CHILDREN} can be pre-seeded",
            )

    def _check_disjoint(self, found: list[tuple[str, Scope]]) -> None:
        for pair in find_overlaps((entry[1].block, entry) for entry in found):
            (first_path, first), (path, scope) = sorted(pair, key=lambda entry: entry[1].position)
            relation = "is the same as" if scope.network == first.network else "overlaps"
            self._error(f"{path}.network", f"{scope} {relation} {first} at {first_path}")
