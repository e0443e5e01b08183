"""A plan out of a store, and into one, while nothing runs on it.

An import takes effect in one batch: after a crash all of it is there, or nothing. The schema that
a state folder remembers is written before, so that no plan is ever served without the schema that
it came with; cut off in between, the import is to be done again.

A store that nodes share is read and written as nobody's, so that every name says whose it is, or
as one node's, which the names that say nothing then belong to. Its server takes no batch of any
size. But a lease there is nothing without its pool: leases are written first, in parts, and the
pools then bring all of them in at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

from pyipam.errors import StoreFailure, TransferRefused
from pyipam.files import replace_file
from pyipam.plan.schema_source import REMEMBERED_NAME
from pyipam.store.protocol import Store
from pyipam.store.records import (
    Change,
    Claim,
    Delete,
    DriverRecord,
    LeaseRecord,
    PoolRecord,
    Put,
    Record,
)
from pyipam.store.tinydb.manifest import NAME as MANIFEST_NAME
from pyipam.transfer.plan_file import Plan, parse_space

# No host is called so.
NOBODY = "(nobody)"
# A server lets no transaction last longer than a minute.
_PATIENCE = 50.0
_ADDRESSES_SHOWN = 3
# So many changes take a server of little memory two seconds.
PART = 10_000

# What a first start that was cut off may have left.
_BEFORE_A_STATE = ("lock", f"{REMEMBERED_NAME}*", f"{MANIFEST_NAME}*", "journal-*.log")


@dataclass(frozen=True)
class State:
    """Where a plan is: the store, and the file of the schema that is remembered beside it, if
    one can be."""

    store: Store
    remembered: Path | None = None


def holds_state(folder: Path) -> bool:
    """Whether a TinyDB store was ever open in the folder."""
    return (folder / MANIFEST_NAME).exists()


def may_hold_state(folder: Path) -> bool:
    """Whether a state is in the folder, or room for one: nothing else is, or it can be made."""
    if not folder.exists():
        return folder.parent.is_dir()
    return holds_state(folder) or all(
        any(path.match(pattern) for pattern in _BEFORE_A_STATE) for path in folder.iterdir()
    )


@dataclass(frozen=True)
class Count:
    """How many records of each kind."""

    pools: int
    leases: int
    drivers: int

    @classmethod
    def of(cls, records: Iterable[Record]) -> Count:
        kinds = [type(record) for record in records]
        return cls(*(kinds.count(kind) for kind in (PoolRecord, LeaseRecord, DriverRecord)))

    def __str__(self) -> str:
        return (
            f"{_number(self.pools, 'pool')}, {_number(self.leases, 'lease')} and "
            f"{_number(self.drivers, 'driver name')}"
        )


def take_out(state: State) -> Plan:
    """Everything that a state holds. Raises StateCorrupted or Unavailable."""
    records = sorted(state.store.load(), key=lambda record: isinstance(record, LeaseRecord))
    return Plan(tuple(records), _read_schema(state.remembered))


def put_into_empty(state: State, plan: Plan) -> None:
    """Bring a plan into a state that has none; a schema that is remembered there stays.

    Raises TransferRefused where pools or leases are held, StateCorrupted, Unavailable, or
    StoreFailure; then nothing has changed.
    """
    held = _in_the_way(state, plan)
    count = Count.of(held)
    if count.pools or count.leases:
        raise TransferRefused(
            f"nothing is imported over a state that is not empty: it holds {count}. Name an "
            "empty one, or replace all of that with --force"
        )
    schema = plan.schema if _read_schema(state.remembered) is None else None
    _put(state, held, replace(plan, schema=schema))


def put_in_place(state: State, plan: Plan) -> None:
    """Bring a plan into a state instead of everything that it holds; a schema that is remembered
    there stays where the plan has none.

    Raises StateCorrupted, Unavailable, or StoreFailure; then nothing has changed.
    """
    _put(state, _in_the_way(state, plan), plan)


def schema_left_out(state: State, plan: Plan) -> bool:
    """Whether the state, after an import, remembers another schema than the plan's."""
    return plan.schema is not None and plan.schema != _read_schema(state.remembered)


def _in_the_way(state: State, plan: Plan) -> list[Record]:
    """What the plan takes the place of: everything; in a store that nodes share, what its nodes
    hold, and the global space if the plan has something there.

    Raises TransferRefused where the container of another node has an address of the plan's.
    """
    held = list(state.store.load())
    if not state.store.shared:
        return held
    owners = {_owner(record) for record in plan.records}
    _check_exclusive(plan, (record for record in held if _owner(record) not in owners))
    return [record for record in held if _owner(record) in owners]


def _check_exclusive(plan: Plan, others: Iterable[Record]) -> None:
    taken = {record.address: record for record in others if _is_exclusive(record)}
    found = [
        f"{record.address} ({taken[record.address].pool})"
        for record in plan.records
        if isinstance(record, LeaseRecord) and _is_exclusive(record) and record.address in taken
    ]
    if found:
        more = len(found) - _ADDRESSES_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        raise TransferRefused(
            "no two hosts of a shared plan may have the same address, and containers of other "
            f"nodes have {', '.join(found[:_ADDRESSES_SHOWN])}{rest}: make one of the networks "
            "again on a subnet of its own, and export anew"
        )


def _is_exclusive(record: Record) -> TypeGuard[LeaseRecord]:
    return (
        isinstance(record, LeaseRecord)
        and record.kind == "container"
        and not record.pool.startswith("global/")
    )


def _put(state: State, held: Sequence[Record], plan: Plan) -> None:
    # Leases go before their pools, and come after them.
    ordered = sorted(held, key=lambda record: not isinstance(record, LeaseRecord))
    changes: list[Change] = [Delete(record.key) for record in ordered]
    changes += [Put(record) for record in plan.records]
    if state.store.shared and len(changes) > PART:
        _put_in_parts(state.store, Count.of(held), changes)
        return
    with _schema_in_place(state.remembered, plan.schema):
        state.store.commit(changes, _PATIENCE)


def _put_in_parts(store: Store, held: Count, changes: Sequence[Change]) -> None:
    if held.pools or held.leases:
        raise TransferRefused(
            f"{held} cannot be replaced by so much in one step of a shared store, so nothing has "
            "been done: drop its database, or name an empty one"
        )
    leases = [change for change in changes if _is_lease(change)]
    parts = [leases[first : first + PART] for first in range(0, len(leases), PART)]
    try:
        for part in parts:
            store.commit(part, _PATIENCE)
        store.commit([change for change in changes if not _is_lease(change)], _PATIENCE)
    except StoreFailure:
        # They are nothing, but would be in the way of who is given one of the addresses.
        with suppress(StoreFailure):
            for part in parts:
                store.commit([Delete(change.record.key) for change in part], _PATIENCE)
        raise


def _is_lease(change: Change) -> TypeGuard[Put]:
    return isinstance(change, Put) and isinstance(change.record, LeaseRecord)


def _read_schema(remembered: Path | None) -> str | None:
    if remembered is None:
        return None
    try:
        return remembered.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise TransferRefused(
            f"{remembered} is no UTF-8: byte {error.start} cannot be read; mend or remove it"
        ) from error


@contextmanager
def _schema_in_place(remembered: Path | None, schema: str | None) -> Iterator[None]:
    """Remember the schema, if there is one; the former one again, when what follows fails."""
    if remembered is None or schema is None:
        yield
        return
    former = _read_schema(remembered)
    try:
        replace_file(remembered, [schema.encode()])
        yield
    except (StoreFailure, OSError):
        if former is None:
            remembered.unlink(missing_ok=True)
        else:
            replace_file(remembered, [former.encode()])
        raise


# Whose pools they are


def nodes_in(plan: Plan) -> set[str]:
    """The nodes that the plan of several hosts speaks of."""
    names = (name for record in plan.records for name in _names_in(record))
    return {parse_space(name)[1] for name in names} - {""}


def of_node(plan: Plan, node: str) -> Plan:
    """What a host has that shares its plan with nobody: the pools of its own node and of the
    global space, as its own.

    What other nodes claim in the global space counts as claimed by this one, before its first
    epoch: Docker claims it again, here too, when this host leads the swarm.
    """
    own = (_owned(record, node) for record in plan.records if _node_of(record) in ("", node))
    return replace(plan, records=tuple(own))


def left_out(plan: Plan, node: str) -> dict[str, Count]:
    """What `of_node` does not take, by the node that it belongs to."""
    others = {_node_of(record) for record in plan.records} - {"", node}
    return {
        other: Count.of(record for record in plan.records if _node_of(record) == other)
        for other in sorted(others)
    }


def _node_of(record: Record) -> str:
    return parse_space(_space_of(record))[1]


def _names_in(record: Record) -> Iterator[str]:
    """Its space, and every driver name in it."""
    yield _space_of(record)
    match record:
        case PoolRecord():
            yield from (claim.driver for claim in record.claims)
        case LeaseRecord():
            yield record.driver


def _owner(record: Record) -> str:
    """The space that a record is of; of a driver name, that of its node."""
    if isinstance(record, DriverRecord):
        _, mark, node = record.name.partition("@")
        return f"local{mark}{node}"
    return _space_of(record)


def _space_of(record: Record) -> str:
    match record:
        case PoolRecord():
            return record.id.partition("/")[0]
        case LeaseRecord():
            return record.pool.partition("/")[0]
        case DriverRecord():
            return record.name


def _owned(record: Record, node: str) -> Record:
    match record:
        case PoolRecord():
            return record._replace(id=_plain(record.id), claims=_owned_claims(record.claims, node))
        case LeaseRecord():
            driver, owner = parse_space(record.driver)
            epoch = record.epoch if owner in ("", node) else 0
            return record._replace(pool=_plain(record.pool), driver=driver, epoch=epoch)
        case DriverRecord():
            return record._replace(name=parse_space(record.name)[0])


def _plain(pool_id: str) -> str:
    space, separator, rest = pool_id.partition("/")
    return parse_space(space)[0] + separator + rest


def _owned_claims(claims: Iterable[Claim], node: str) -> tuple[Claim, ...]:
    own: dict[str, Claim] = {}
    others: dict[str, Claim] = {}
    for claim in claims:
        driver, owner = parse_space(claim.driver)
        if owner in ("", node):
            own[driver] = claim._replace(driver=driver)
        else:
            others[driver] = Claim(driver, 0, claim.references)
    return tuple((others | own).values())


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
