"""The records of an export, made from its JSON document, and every error in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from pyipam.plan.object_rules import DocumentError, ObjectRules, Rules, shown
from pyipam.plan.schema import read_schema
from pyipam.space.address import parse_address
from pyipam.space.block import Block, block_of, find_overlaps, parse_network
from pyipam.store.documents import to_record
from pyipam.store.pool_id import parse_stored_pool_id, space_of, subnet_id_of
from pyipam.store.records import Record
from pyipam.transfer.export_rules import (
    AGGREGATE_RULES,
    DRIVER_RULES,
    LEASE_RULES,
    NODE_RULES,
    PLAN_RULES,
    POOL_RULES,
)


class _Checked(NamedTuple):
    """An entry whose members were checked one by one: those that keep their rules, and whether
    these are all."""

    path: str
    good: dict[str, Any]
    is_complete: bool


class ExportReader:
    """Makes records from the `plan` of an export and collects errors. Good for one document."""

    def __init__(self) -> None:
        self.errors: list[DocumentError] = []
        self._blocks: dict[str, Block] = {}
        self._aggregate_ids: set[str] = set()

    def read(self, plan: Any) -> tuple[Record, ...]:
        """The records, pools before the leases in them; complete if there are no `errors`."""
        if not isinstance(plan, dict):
            self._error("$.plan", f"it must be an object, not {shown(plan)}")
            return ()
        if self._check("$.plan", plan, ObjectRules(PLAN_RULES)):
            return ()
        self._check_schema(plan["schema"])
        return (
            *self._aggregates(plan.get("aggregates", [])),
            *self._nodes(plan.get("nodes", [])),
            *self._drivers(plan["drivers"]),
            *self._pools(plan["pools"]),
            *self._leases(plan["leases"], plan["pools"]),
        )

    def _error(self, path: str, message: str) -> None:
        self.errors.append(DocumentError(path, message))

    def _check_schema(self, schema: str | None) -> None:
        found = [] if schema is None else read_schema(schema)
        for error in found if isinstance(found, list) else []:
            self._error("$.plan.schema", f"the schema is not valid: {error}")

    def _aggregates(self, entries: list[Any]) -> Iterator[Record]:
        held: list[tuple[Block, tuple[str, Block]]] = []
        for path, good, is_complete in self._checked("$.plan.aggregates", entries, AGGREGATE_RULES):
            self._check_scope(path, good.get("scope", ""))
            block = _block_of_aggregate(good["id"]) if "id" in good else None
            if "id" in good and block is None:
                wanted = "the id of an aggregate (local/BLOCK or local@NODE/BLOCK)"
                self._error(f"{path}.id", f"{shown(good['id'])} is not {wanted}")
            if block is not None:
                held.append((block, (path, block)))
                self._aggregate_ids.add(good["id"])
                if is_complete:
                    yield to_record({**good, "kind": "aggregate"})
        # No two nodes may have claimed the same addresses.
        for (other_path, other), (path, block) in find_overlaps(held):
            self._error(f"{path}.id", f"{block} overlaps {other} of {other_path}")

    def _nodes(self, entries: list[Any]) -> Iterator[Record]:
        return self._named("nodes", entries, NODE_RULES, "node")

    def _drivers(self, entries: list[Any]) -> Iterator[Record]:
        return self._named("drivers", entries, DRIVER_RULES, "driver")

    def _named(self, member: str, entries: list[Any], rules: Rules, kind: str) -> Iterator[Record]:
        """The records of this kind in a member of the plan, whose names differ."""
        names: set[str] = set()
        for path, good, is_complete in self._checked(f"$.plan.{member}", entries, rules):
            name = good.get("name")
            if name in names:
                self._error(f"{path}.name", f"{shown(name)} is listed twice")
            if name is not None:
                names.add(name)
            if is_complete:
                yield to_record({**good, "kind": kind})

    def _pools(self, entries: list[Any]) -> Iterator[Record]:
        held: defaultdict[str, list[tuple[Block, tuple[str, Block]]]] = defaultdict(list)
        for path, good, is_complete in self._checked("$.plan.pools", entries, POOL_RULES):
            self._check_scope(path, good.get("scope", ""))
            self._check_claims(path, good.get("claims", []))
            if "id" not in good:
                continue
            block = self._block_of_pool(path, good["id"])
            if block is not None:
                self._check_aggregate(path, good["id"], block, good.get("aggregate", ""))
            if block is not None and good.get("claims"):
                held[space_of(good["id"])].append((block, (path, block)))
            if is_complete:
                yield to_record({**good, "kind": "pool"})
        for pools in held.values():
            self._check_overlaps(pools)
        self._check_nodes()

    def _block_of_pool(self, path: str, pool_id: str) -> Block | None:
        """The block of a pool's subnet, which leases may name from now on; None if the pool's id
        is wrong."""
        try:
            block = block_of(parse_stored_pool_id(pool_id).subnet)
        except ValueError:
            self._error(
                f"{path}.id",
                f"{shown(pool_id)} is not a pool id (SPACE/SUBNET or SPACE/SUBNET/IP-RANGE)",
            )
            return None
        if pool_id in self._blocks:
            self._error(f"{path}.id", f"{pool_id} is listed twice")
        self._blocks[pool_id] = block
        return block

    def _check_scope(self, path: str, scope: str) -> None:
        if scope and not _is_network(scope):
            self._error(
                f"{path}.scope",
                f"it must be a network such as 10.0.0.0/8, or empty, not {shown(scope)}",
            )

    def _check_aggregate(self, path: str, pool_id: str, pool: Block, aggregate: str) -> None:
        if not aggregate:
            return
        block = _block_of_aggregate(f"local/{aggregate}")
        if block is None or not pool.is_inside(block):
            self._error(
                f"{path}.aggregate",
                f"it must be the block that the pool was drawn from, or empty, not "
                f"{shown(aggregate)}",
            )
        elif f"{space_of(pool_id)}/{aggregate}" not in self._aggregate_ids:
            self._error(
                f"{path}.aggregate", f"{space_of(pool_id)}/{aggregate} is not listed in aggregates"
            )

    def _check_claims(self, path: str, claims: list[list[Any]]) -> None:
        drivers: set[str] = set()
        for index, (driver, _, _) in enumerate(claims):
            if driver in drivers:
                self._error(f"{path}.claims[{index}][0]", f"{shown(driver)} already has a claim")
            drivers.add(driver)

    def _check_overlaps(self, pools: list[tuple[Block, tuple[str, Block]]]) -> None:
        """No two pools that are held in one space overlap, unless they are of the same subnet.

        (The subnet of a resting pool may have been asked for again.)
        """
        for (other_path, other), (path, block) in find_overlaps(pools):
            if block != other:
                self._error(f"{path}.id", f"{block} overlaps {other} of {other_path}")

    def _check_nodes(self) -> None:
        local = {space_of(pool_id) for pool_id in self._blocks} - {"global"}
        if "local" in local and len(local) > 1:
            self._error("$.plan.pools", "some local pools name their node, others do not")

    def _leases(self, entries: list[Any], pools: list[Any]) -> Iterator[Record]:
        # That the id of a pool is wrong is reported once, at the pool.
        wrong_ids = {str(pool.get("id")) for pool in pools if isinstance(pool, dict)}
        leased: dict[tuple[str, str], str] = {}
        for path, good, is_complete in self._checked("$.plan.leases", entries, LEASE_RULES):
            pool_id, address = good.get("pool"), good.get("address")
            block = self._blocks.get(pool_id) if pool_id is not None else None
            if pool_id is None or block is None:
                if pool_id is not None and pool_id not in wrong_ids:
                    self._error(f"{path}.pool", f"{shown(pool_id)} is not a pool of this file")
            elif address is not None and not _is_address_in(address, block):
                self._error(
                    f"{path}.address",
                    f"{shown(address)} is not an address of its pool, {pool_id}",
                )
            elif address is not None:
                other = leased.setdefault((subnet_id_of(pool_id), address), path)
                if other != path:
                    self._error(f"{path}.address", f"{address} is already leased in {other}")
            if is_complete:
                yield to_record({**good, "kind": "lease"})

    def _checked(self, path: str, entries: list[Any], rules: Rules) -> Iterator[_Checked]:
        """Each entry of a list that is an object."""
        object_rules = ObjectRules(rules)
        for index, entry in enumerate(entries):
            place = f"{path}[{index}]"
            if not isinstance(entry, dict):
                self._error(place, f"it must be an object, not {shown(entry)}")
                continue
            wrong = self._check(place, entry, object_rules)
            good = {key: entry[key] for key in entry if key not in wrong} if wrong else entry
            yield _Checked(place, good, not wrong)

    def _check(self, path: str, entry: dict[str, Any], rules: ObjectRules) -> set[str]:
        """The keys that are wrong, after their errors have been noted."""
        wrong = rules.errors(path, entry)
        for errors in wrong.values():
            self.errors += errors
        return set(wrong)


def _block_of_aggregate(aggregate_id: str) -> Block | None:
    """The block of an aggregate; None if its id is wrong."""
    try:
        parsed = parse_stored_pool_id(aggregate_id)
    except ValueError:
        return None
    is_aggregate = parsed.space == "local" and parsed.ip_range is None
    return block_of(parsed.subnet) if is_aggregate else None


@lru_cache(maxsize=1024)
def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


def _is_address_in(text: str, block: Block) -> bool:
    """Whether this is an address of the block, written as pyipam writes it."""
    try:
        address = parse_address(text)
    except ValueError:
        return False
    return str(address) == text and block.contains(address)
