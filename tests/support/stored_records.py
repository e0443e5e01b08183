"""Records to store, of every kind, and batches of changes that keep leases inside pools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any, TypeVar

from hypothesis import strategies as st

from pyipam.store.pool_id import subnet_of
from pyipam.store.records import (
    AggregateRecord,
    Change,
    Claim,
    Delete,
    DriverRecord,
    Key,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Put,
    Record,
    Run,
    Sharer,
)

Kind = TypeVar("Kind", PoolRecord, LeaseRecord, DriverRecord, AggregateRecord, NodeRecord)


def replace(record: Kind, **members: Any) -> Kind:
    """The record with other members."""
    return record._replace(**members)


SCOPE = "100.64.0.0/20"
OTHER_SCOPE = "fc00:f00f::/48"
STRANGE_TEXT = "a \"quoted\" 'id',\nwith lines, a \0, ümläuts and 网络 🐳"

POOL = PoolRecord(
    id="local/100.64.0.0/30",
    scope=SCOPE,
    label="testnet",
    tags="null_routed",
    claims=(Claim("driver", 1, 1),),
    created=1600000000.123456,
)
GATEWAY = LeaseRecord(POOL.id, "100.64.0.1", "gateway", "driver", 1, 1600000001.5)
LEASE = LeaseRecord(POOL.id, "100.64.0.2", "container", "driver", 1, 1600000002.25)
DRIVER = DriverRecord("driver", "boot:4711", 3, 4)

GLOBAL_POOL = replace(POOL, id="global/100.64.0.0/30", label="mirrored")
IPV6_POOL = replace(POOL, id="local/fc00:f00f::/64", scope=OTHER_SCOPE)
HELD_BACK_LEASE = LeaseRecord(POOL.id, "100.64.0.3", "container", "driver", 1, 2.0, 3.5, True)
IPV6_LEASE = LeaseRecord(IPV6_POOL.id, "fc00:f00f::2", "container", "driver", 1, 0.0)
RANGE_POOL = replace(POOL, id="local/100.64.5.0/24/100.64.5.64/26")
RANGE_LEASE = LeaseRecord(RANGE_POOL.id, "100.64.5.64", "gateway", "driver", 1, 5.0)

AGGREGATE = AggregateRecord("local/100.64.0.0/24", SCOPE, 1600000003.5)
IPV6_AGGREGATE = AggregateRecord("local/fc00:f00f::/56", OTHER_SCOPE, 7.0)
MARK = NodeRecord("h1", 1600000004.5)

# Each with the pool that it needs, if it is a lease.
EVERY_KIND: dict[str, list[Record]] = {
    "a-pool": [POOL],
    "an-ipv6-pool": [IPV6_POOL],
    "a-pool-with-an-ip-range": [RANGE_POOL],
    "a-pool-outside-every-scope": [replace(POOL, scope="")],
    "a-pool-of-the-global-space": [GLOBAL_POOL],
    "a-pool-that-rests": [replace(POOL, claims=(), released=1700000000.5)],
    "a-pool-with-two-claims": [
        replace(POOL, claims=(Claim("driver", 7, 2), Claim("pyipam", 1, 1))),
    ],
    "a-pool-with-a-strange-label": [replace(POOL, label=STRANGE_TEXT, tags=STRANGE_TEXT)],
    "a-pool-that-follows-a-swarm": [replace(POOL, follows_swarm=True)],
    "a-pool-that-shares-its-subnet": [replace(POOL, shared=True)],
    "a-gateway": [POOL, GATEWAY],
    "a-gateway-of-three-networks": [
        POOL,
        replace(POOL, id=f"{POOL.id}/100.64.0.0/31"),
        replace(
            GATEWAY,
            sharers=(
                Sharer(POOL.id, "pyipam", 4),
                Sharer(f"{POOL.id}/100.64.0.0/31", "driver", 1),
            ),
        ),
    ],
    "a-container": [POOL, LEASE],
    "a-held-back-address": [POOL, HELD_BACK_LEASE],
    "a-mirror": [GLOBAL_POOL, POOL, replace(LEASE, kind="mirror")],
    "an-ipv6-lease": [IPV6_POOL, IPV6_LEASE],
    "a-lease-of-an-ip-range": [RANGE_POOL, RANGE_LEASE],
    "a-lease-that-rests": [POOL, replace(LEASE, released=1700000000.75)],
    "a-driver": [DRIVER],
    "a-driver-of-two-runs": [
        replace(DRIVER, runs=(Run("boot:4710", 2, 3), Run("boot:4711", 3, 4))),
    ],
    "a-driver-whose-engine-is-unknown": [replace(DRIVER, name="pyipam", engine="")],
}


# The same of what plans with `node_prefix` have.
EVERY_KIND_OF_NODE: dict[str, list[Record]] = {
    "an-aggregate": [AGGREGATE],
    "an-ipv6-aggregate": [IPV6_AGGREGATE],
    "an-aggregate-that-rests": [replace(AGGREGATE, released=1700000000.5)],
    "an-aggregate-of-a-forgotten-node": [replace(AGGREGATE, released=1.5, forgotten=True)],
    "an-aggregate-with-a-pool": [AGGREGATE, replace(POOL, aggregate="100.64.0.0/24"), LEASE],
    "an-aggregate-and-a-pool-of-its-size": [
        AGGREGATE,
        replace(POOL, id=AGGREGATE.id, label="a mirror of a swarm's network"),
    ],
    "a-mark-of-a-node": [MARK],
    "a-mark-of-a-forgotten-node": [replace(MARK, name="h2", draining=None, forgotten=5.5)],
}


def puts(*records: Record) -> list[Change]:
    return [Put(record) for record in records]


def deletes(*records: Record) -> list[Change]:
    return [Delete(record.key) for record in records]


class Model:
    """What a store must hold, as a plain mapping."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Put(record):
                    self.records[record.key] = record
                case Delete(key):
                    self.records.pop(key, None)

    def after(self, changes: Iterable[Change]) -> Model:
        """What it must hold once these batches are committed too."""
        model = Model()
        model.records = dict(self.records)
        model.apply(changes)
        return model

    def holds(self, records: Iterable[Record]) -> bool:
        """Whether these are exactly the records, none of them twice."""
        found = list(records)
        return len(found) == len(self.records) and self.records == {r.key: r for r in found}


_PLACES = [
    ("100.64.0.0/30", SCOPE),
    ("100.64.0.4/30", SCOPE),
    ("fc00:f00f::/64", OTHER_SCOPE),
    ("10.9.0.0/24", ""),
]
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_times = st.floats(0, 4e9)
_resting = st.none() | _times
_claims = st.lists(
    st.builds(Claim, st.sampled_from(["driver", "pyipam"]), st.integers(0, 9), st.integers(1, 3)),
    max_size=2,
    unique_by=lambda claim: claim.driver,
).map(tuple)


@st.composite
def _pool(draw: st.DrawFn) -> PoolRecord:
    subnet, scope = draw(st.sampled_from(_PLACES))
    ip_range = f"/{subnet}" if draw(st.booleans()) else ""
    space = draw(st.sampled_from(["local", "global"]))
    return PoolRecord(
        f"{space}/{subnet}{ip_range}",
        scope,
        draw(_texts),
        draw(_texts),
        draw(_claims),
        draw(_times),
        draw(_resting),
        draw(st.booleans()),
    )


def _sharers(pool: PoolRecord) -> st.SearchStrategy[tuple[Sharer, ...]]:
    drivers, epochs = st.sampled_from(["driver", "pyipam"]), st.integers(0, 9)
    sharer = st.builds(Sharer, st.just(pool.id), drivers, epochs)
    return st.lists(sharer, max_size=2).map(tuple)


@st.composite
def _lease(draw: st.DrawFn, pool: PoolRecord) -> LeaseRecord:
    network = ip_network(subnet_of(pool.id))
    return LeaseRecord(
        pool.id,
        str(network.network_address + draw(st.integers(1, 2))),
        draw(st.sampled_from(["gateway", "container"])),
        "driver",
        draw(st.integers(0, 9)),
        draw(_times),
        draw(_resting),
        draw(st.booleans()),
        draw(_sharers(pool)),
    )


_runs = st.builds(Run, _texts, st.integers(0, 9), st.integers(0, 9))
_drivers = st.builds(
    DriverRecord,
    st.sampled_from(["driver", "pyipam"]),
    _texts,
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(_runs, max_size=3).map(tuple),
)


_aggregates = st.builds(
    AggregateRecord,
    st.sampled_from(["local/100.64.0.0/30", "local/100.64.0.0/28", "local/fc00:f00f::/56"]),
    st.sampled_from([SCOPE, OTHER_SCOPE]),
    _times,
    _resting,
    st.booleans(),
)
_marks = st.builds(NodeRecord, st.sampled_from(["h1", "h2"]), _resting, _resting)


@st.composite
def _change(draw: st.DrawFn, model: Model, further: Sequence[str]) -> list[Change]:
    pools = [record for record in model.records.values() if isinstance(record, PoolRecord)]
    kinds = [
        "pool",
        "driver",
        *further,
        *(["lease", "end of a pool", "end"] if pools else []),
    ]
    match draw(st.sampled_from(kinds)):
        case "pool":
            return [Put(draw(_pool()))]
        case "driver":
            return [Put(draw(_drivers))]
        case "aggregate":
            return [Put(draw(_aggregates))]
        case "mark":
            return [Put(draw(_marks))]
        case "lease":
            return [Put(draw(_lease(draw(st.sampled_from(pools)))))]
        case "end":
            gone = draw(st.sampled_from(list(model.records.values())))
            return [Delete(gone.key)] if not isinstance(gone, PoolRecord) else []
        case _:
            return _end_of(draw(st.sampled_from(pools)), model)


def _end_of(pool: PoolRecord, model: Model) -> list[Change]:
    leases = [
        record
        for record in model.records.values()
        if isinstance(record, LeaseRecord) and record.pool == pool.id
    ]
    return deletes(*leases, pool)


@st.composite
def batches(draw: st.DrawFn, further: Sequence[str] = ()) -> list[Sequence[Change]]:
    """Batches as the core commits them: no lease outlives its pool. `further` are kinds of records
    besides pools, leases and drivers: "aggregate" and "mark"."""
    model = Model()
    found: list[Sequence[Change]] = []
    for _ in range(draw(st.integers(0, 8))):
        batch: list[Change] = []
        for _ in range(draw(st.integers(1, 3))):
            changes = draw(_change(model, further))
            model.apply(changes)
            batch += changes
        found.append(batch)
    return found
