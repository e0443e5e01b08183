"""Two nodes over one plan: what each is told of the other, and what both can never have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.errors import Conflict
from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.mongodb.versions import VERSIONS_KEPT, make_version
from pyipam.store.records import (
    Change,
    Claim,
    Delete,
    DriverRecord,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
)
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.mongodb.replica_set import ReplicaSet, wait_for
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    LEASE,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
    deletes,
    puts,
    replace,
)

GLOBAL_LEASE = replace(LEASE, pool=GLOBAL_POOL.id)
TRIO: tuple[Record, ...] = (POOL, GATEWAY, DRIVER)
OTHER_POOL = replace(POOL, id="local/100.64.0.4/30")


@pytest.fixture
def plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    with shared_plan(replica_set) as plan:
        yield plan


def on(node: str, record: Record) -> Record:
    """A record of a node, as the others see it."""
    match record:
        case PoolRecord():
            return pool_on(node, record)
        case LeaseRecord():
            pool = _id_on(node, record.pool)
            return replace(record, pool=pool, driver=f"{record.driver}@{node}")
        case DriverRecord():
            return replace(record, name=f"{record.name}@{node}")


def pool_on(node: str, pool: PoolRecord) -> PoolRecord:
    claims = tuple(claim._replace(driver=f"{claim.driver}@{node}") for claim in pool.claims)
    return replace(pool, id=_id_on(node, pool.id), claims=claims)


def _id_on(node: str, pool_id: str) -> str:
    return pool_id.replace("local/", f"local@{node}/")


def on_a(record: Record) -> Record:
    return on("nodea", record)


def conflict_of(store: MongoDbStore, changes: Sequence[Change]) -> tuple[Change, ...]:
    """What the store learns instead of committing this."""
    with pytest.raises(Conflict) as conflict:
        store.commit(changes)
    return conflict.value.learned


def next_news(store: MongoDbStore, count: int) -> list[Change]:
    """So many changes of others, once they have come."""
    found: list[Change] = []

    def look() -> bool:
        found.extend(store.take_remote_changes())
        return len(found) >= count

    wait_for(look, f"{count} news")
    assert len(found) == count, found
    return found


# Names


def test_what_is_local_on_another_node_carries_its_name(plan: SharedPlan) -> None:
    records: list[Record] = [POOL, GATEWAY, LEASE, DRIVER, RANGE_POOL, RANGE_LEASE]
    plan.loaded("nodea").commit(puts(*records))

    assert set(plan.open("nodeb").load()) == {on_a(record) for record in records}
    assert set(plan.open("nodea").load()) == set(records)


def test_the_global_space_is_one_but_its_drivers_are_their_nodes(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(GLOBAL_POOL, GLOBAL_LEASE))

    assert set(plan.open("nodeb").load()) == {on_a(GLOBAL_POOL), on_a(GLOBAL_LEASE)}
    assert on_a(GLOBAL_POOL).key == GLOBAL_POOL.key


def test_two_nodes_may_hold_one_local_subnet_and_one_driver_name(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(POOL, GATEWAY, DRIVER))
    plan.loaded("nodeb").commit(puts(POOL, GATEWAY, DRIVER))

    assert set(plan.open("nodeb").load()) == {
        *TRIO,
        *(on_a(record) for record in TRIO),
    }


@pytest.mark.parametrize("name", ["rack 7", "a.b", "^.*$", "knöten", "(?i)nodeb", "local"])
def test_a_node_may_have_any_name(plan: SharedPlan, name: str) -> None:
    named, other = plan.following(name), plan.loaded("nodeb")
    named.commit(puts(POOL, LEASE))
    conflict_of(other, puts(OTHER_POOL))
    other.commit(puts(OTHER_POOL))

    assert next_news(named, 1) == [Put(on("nodeb", OTHER_POOL))]
    assert {POOL, LEASE} < set(plan.open(name).load())


def test_the_records_of_another_node_can_be_written_under_their_names(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(POOL, LEASE, DRIVER))
    other = plan.loaded("nodeb")

    other.commit(deletes(on_a(LEASE), on_a(POOL), on_a(DRIVER)))

    assert list(plan.open("nodea").load()) == []


# Addresses


def lease(pool: str, kind: str = "container", driver: str = "driver") -> LeaseRecord:
    return replace(LEASE, pool=pool, kind=kind, driver=driver)


@pytest.mark.parametrize("pool", [POOL, GLOBAL_POOL], ids=["local", "global"])
def test_an_address_that_another_node_holds_is_refused_and_learned(
    plan: SharedPlan, pool: PoolRecord
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(pool))
    conflict_of(second, puts(OTHER_POOL))
    if pool is POOL:
        second.commit(puts(pool))
    first.commit(puts(lease(pool.id)))

    learned = conflict_of(second, puts(lease(pool.id)))

    assert Put(on_a(lease(pool.id))) in learned
    assert lease(pool.id) in set(plan.open("nodea").load())


def test_one_conflict_teaches_what_others_hold_in_the_whole_subnet(plan: SharedPlan) -> None:
    subnet = replace(POOL, id="local/10.0.0.0/24")
    leases = [replace(LEASE, pool=subnet.id, address=f"10.0.0.{n}") for n in range(2, 50)]
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(subnet, *leases))
    conflict_of(second, puts(subnet))
    second.commit(puts(subnet))

    learned = conflict_of(second, puts(leases[7]))

    assert set(learned) == {Put(on_a(lease)) for lease in leases}


def test_an_address_is_refused_in_a_local_subnet_of_any_length(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    wider = replace(POOL, id="local/100.64.0.0/24")
    first.commit(puts(POOL, LEASE))
    conflict_of(second, puts(wider))
    second.commit(puts(wider))

    learned = conflict_of(second, puts(lease(wider.id)))

    assert learned == (Put(on_a(LEASE)),)


@pytest.mark.parametrize("kind", ["gateway", "mirror"])
def test_gateways_and_mirrors_of_local_pools_are_nobodys_own(plan: SharedPlan, kind: str) -> None:
    for node in ("nodea", "nodeb"):
        store = plan.loaded(node)
        store.commit(puts(POOL, lease(POOL.id, kind)))

    records = set(plan.open("nodeb").load())
    assert {lease(POOL.id, kind), on_a(lease(POOL.id, kind))} < records


def test_a_gateway_of_the_global_space_is_exclusive(plan: SharedPlan) -> None:
    gateway = lease(GLOBAL_POOL.id, "gateway")
    plan.loaded("nodea").commit(puts(GLOBAL_POOL, gateway))
    late = plan.loaded("nodeb")
    plan.loaded("nodea").commit(puts(replace(gateway, epoch=9)))

    assert conflict_of(late, puts(gateway)) == (Put(on_a(replace(gateway, epoch=9))),)


def test_an_address_of_the_global_space_may_be_mirrored_in_local_ones(plan: SharedPlan) -> None:
    for node in ("nodea", "nodeb"):
        plan.loaded(node).commit(puts(POOL, lease(POOL.id, "mirror")))
    leader = plan.loaded("nodec")

    leader.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))

    assert GLOBAL_LEASE in set(plan.open("nodec").load())


def test_a_node_puts_its_own_lease_again_and_again(plan: SharedPlan) -> None:
    store = plan.loaded()
    store.commit(puts(POOL, LEASE, GLOBAL_POOL, GLOBAL_LEASE))

    for epoch in (2, 3):
        store.commit(puts(replace(LEASE, epoch=epoch)))
        store.commit(puts(replace(GLOBAL_LEASE, epoch=epoch)))

    assert {replace(LEASE, epoch=3), replace(GLOBAL_LEASE, epoch=3)} < set(plan.open().load())


def test_an_address_passes_from_one_subnet_to_another_in_one_batch(plan: SharedPlan) -> None:
    wider = replace(POOL, id="local/100.64.0.0/24")
    store = plan.loaded()
    store.commit(puts(POOL, LEASE, wider))

    store.commit([Put(lease(wider.id)), Delete(LEASE.key)])

    assert set(plan.open().load()) == {POOL, wider, lease(wider.id)}


def test_an_address_that_was_given_back_is_for_the_next_who_asks(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))
    conflict_of(second, puts(POOL))
    second.commit(puts(POOL))
    conflict_of(second, puts(LEASE))
    first.commit(deletes(LEASE))

    second.commit(puts(LEASE))

    assert LEASE in set(plan.open("nodeb").load())


def test_a_batch_that_collides_in_one_lease_is_not_stored_at_all(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))
    conflict_of(second, puts(POOL))
    second.commit(puts(POOL))
    free = replace(LEASE, address="100.64.0.1")

    conflict_of(second, puts(free, LEASE, DRIVER))

    assert set(plan.open("nodeb").load()) == {POOL, on_a(POOL), on_a(LEASE)}


# Who leads the swarm


def test_a_new_leader_takes_over_what_it_has_read(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))

    assert set(second.load_global_space()) == {on_a(GLOBAL_POOL), on_a(GLOBAL_LEASE)}
    claimed = replace(GLOBAL_POOL, claims=(Claim("driver", 5, 1),))
    second.commit(puts(claimed, replace(GLOBAL_LEASE, epoch=5)))

    assert set(second.load_global_space()) == {claimed, replace(GLOBAL_LEASE, epoch=5)}


def test_a_lease_that_changed_since_it_was_read_is_not_taken_over(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    second.load_global_space()
    first.commit(puts(replace(GLOBAL_LEASE, granted=99.0)))

    learned = conflict_of(second, puts(GLOBAL_LEASE))

    assert learned == (Put(on_a(replace(GLOBAL_LEASE, granted=99.0))),)
    second.commit(puts(GLOBAL_LEASE))
    assert GLOBAL_LEASE in second.load_global_space()


@pytest.mark.parametrize("change", [puts, deletes])
def test_a_lease_that_has_gone_since_it_was_read_is_learned_to_be_gone(
    plan: SharedPlan, change: Callable[[Record], list[Change]]
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    second.load_global_space()
    first.commit(deletes(GLOBAL_LEASE))

    assert conflict_of(second, change(GLOBAL_LEASE)) == (Delete(GLOBAL_LEASE.key),)


def test_a_pool_whose_claims_changed_since_they_were_read_is_learned(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL))
    second.load_global_space()
    twice = replace(GLOBAL_POOL, claims=(Claim("driver", 1, 2),))
    first.commit(puts(twice))

    assert conflict_of(second, puts(GLOBAL_POOL)) == (Put(on_a(twice)),)


def test_a_former_leader_frees_nothing_that_the_new_one_has_taken_over(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    second.load_global_space()
    second.commit(puts(GLOBAL_LEASE))

    first.commit(deletes(GLOBAL_LEASE))

    assert GLOBAL_LEASE in second.load_global_space()


def test_what_was_read_again_is_not_undone_by_older_news(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    first.commit(puts(GLOBAL_POOL))
    first.commit(deletes(GLOBAL_POOL))
    first.commit(puts(GLOBAL_POOL, OTHER_POOL))
    wait_for(lambda: second.pending_remote_changes == 3, "the news to wait")

    second.load_global_space()

    assert second.take_remote_changes() == [Put(on_a(OTHER_POOL))]


# Blocks


def test_a_block_is_refused_to_who_has_not_seen_what_others_did(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))

    assert conflict_of(second, puts(OTHER_POOL)) == (Put(on_a(POOL)),)
    second.commit(puts(OTHER_POOL))

    assert set(plan.open("nodeb").load()) == {on_a(POOL), OTHER_POOL}


def test_what_was_missed_comes_in_its_order(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    first.commit(puts(OTHER_POOL))
    first.commit(deletes(POOL))

    assert conflict_of(second, puts(RANGE_POOL)) == (
        Put(on_a(POOL)),
        Put(on_a(OTHER_POOL)),
        Delete(on_a(POOL).key),
    )


def test_releasing_a_pool_needs_no_less_knowledge_than_taking_one(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    conflict_of(second, puts(OTHER_POOL))
    second.commit(puts(OTHER_POOL))

    assert conflict_of(first, deletes(POOL)) == (Put(on("nodeb", OTHER_POOL)),)
    first.commit(deletes(POOL))

    assert list(plan.open("nodeb").load()) == [OTHER_POOL]


def test_claims_of_a_local_pool_need_no_knowledge_of_others(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    conflict_of(second, puts(OTHER_POOL))
    second.commit(puts(OTHER_POOL))
    again = replace(POOL, claims=(Claim("driver", 2, 2),))

    first.commit(puts(again))

    assert again in set(plan.open("nodea").load())


def test_news_that_wait_are_a_conflict_for_a_block_and_none_for_a_lease(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    second.commit(puts(POOL))
    conflict_of(first, puts(OTHER_POOL))
    first.commit(puts(OTHER_POOL))
    wait_for(lambda: second.pending_remote_changes > 0, "the news to wait")

    second.commit(puts(LEASE))

    assert conflict_of(second, puts(RANGE_POOL)) == (Put(on_a(OTHER_POOL)),)


def make_versions(plan: SharedPlan, after: int) -> None:
    """Make as many versions of the pool set as are kept, none of which changes anything."""
    codec = RecordCodec("another")
    numbers = range(after + 1, after + 1 + VERSIONS_KEPT)
    plan.database.versions.bulk_write(
        [make_version(number, "another process", [], codec) for number in numbers]
    )


def test_a_node_that_missed_more_versions_than_are_kept_learns_every_pool(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    pools = [replace(POOL, id=f"local/10.0.{n}.0/24") for n in range(9)]
    second.commit(puts(OTHER_POOL))
    conflict_of(first, puts(pools[0]))
    first.commit(puts(pools[0]))
    conflict_of(second, puts(RANGE_POOL))
    first.commit(deletes(pools[0]))
    for pool in pools[1:]:
        first.commit(puts(pool))
    make_versions(plan, after=11)

    learned = conflict_of(second, puts(RANGE_POOL))

    assert set(learned) == {Delete(on_a(pools[0]).key), *(Put(on_a(pool)) for pool in pools[1:])}
    second.commit(puts(RANGE_POOL))
    assert plan.database.versions.count_documents({}) == VERSIONS_KEPT


def test_a_batch_too_large_to_be_told_is_read_by_the_others(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    pools = [replace(POOL, id=f"local/10.{n // 256}.{n % 256}.0/24") for n in range(1200)]

    first.commit(puts(*pools, LEASE._replace(pool=pools[0].id, address="10.0.0.2")))

    assert set(conflict_of(second, puts(OTHER_POOL))) >= {Put(on_a(pool)) for pool in pools}


# News


def test_pools_and_leases_of_other_nodes_are_news(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")

    first.commit(puts(POOL, GLOBAL_POOL, GATEWAY, LEASE, GLOBAL_LEASE, DRIVER))
    assert set(next_news(second, 4)) == {
        Put(on_a(record)) for record in (POOL, GLOBAL_POOL, GATEWAY, LEASE)
    }
    first.commit(deletes(LEASE))
    assert next_news(second, 1) == [Delete(LeaseKey("local@nodea/100.64.0.0/30", LEASE.address))]
    first.commit(puts(replace(GATEWAY, epoch=7)))
    assert next_news(second, 1) == [Put(on_a(replace(GATEWAY, epoch=7)))]
    first.commit(deletes(GATEWAY, POOL))
    assert next_news(second, 1) == [Delete(PoolKey("local@nodea/100.64.0.0/30"))]


def test_no_lease_is_news_whose_pool_is_not(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    first.commit(puts(POOL, GATEWAY, LEASE))
    first.commit(deletes(GATEWAY, LEASE, POOL))
    first.commit(puts(OTHER_POOL))

    everything = 3 + 4  # versions of the plan, and changes of leases
    wait_for(lambda: second.pending_remote_changes == everything, "the news to wait")
    known: set[str] = set()
    for change in second.take_remote_changes():
        match change:
            case Put(PoolRecord() as pool):
                known.add(pool.id)
            case Delete(PoolKey(pool_id)):
                known.remove(pool_id)
            case Put(LeaseRecord() as put):
                assert put.pool in known
            case Delete(LeaseKey(subnet)):
                assert subnet in known
    assert known == {pool_on("nodea", OTHER_POOL).id}


def test_what_a_node_does_itself_is_no_news_to_it(plan: SharedPlan) -> None:
    first, second = plan.following("nodea"), plan.following("nodeb")
    first.commit(puts(POOL, LEASE, GLOBAL_POOL))
    next_news(second, 3)
    second.commit(puts(OTHER_POOL))

    assert next_news(first, 1) == [Put(on("nodeb", OTHER_POOL))]


def test_what_happened_before_the_others_are_followed_is_news_too(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))

    plan.follow(second)

    assert next_news(second, 2) == [Put(on_a(POOL)), Put(on_a(LEASE))]


def test_who_cannot_be_told_what_changed_is_told_what_is(plan: SharedPlan) -> None:
    gone = replace(LEASE, address="100.64.0.1")
    first = plan.loaded("nodea")
    first.commit(puts(POOL, GLOBAL_POOL, LEASE, gone))
    second = plan.following("nodeb")
    first.commit(deletes(gone))
    next_news(second, 1)

    # A collection that vanishes counts as the outage does that outlasts the database's memory.
    plan.database.aside.insert_one({})
    plan.database.aside.drop()

    assert next_news(second, 3) == [
        Delete(on_a(POOL).key),
        Put(on_a(POOL)),
        Put(on_a(LEASE)),
    ]
    first.commit(deletes(LEASE))
    assert next_news(second, 1) == [Delete(on_a(LEASE).key)]


# One process for a node


def test_a_store_that_is_closed_commits_nothing(plan: SharedPlan) -> None:
    store = plan.loaded()
    store.close()

    with pytest.raises(StoreFailure):
        store.commit(puts(POOL))


def test_a_second_process_of_a_node_takes_over_from_the_first(plan: SharedPlan) -> None:
    first = plan.following("nodea")
    first.commit(puts(POOL))

    second = plan.loaded("nodea")

    def is_refused() -> bool:
        try:
            first.commit(puts(LEASE))
        except StoreFailure as failure:
            return "give each host a NODE_NAME of its own" in str(failure)
        return False

    wait_for(is_refused, "the first process to notice")
    second.commit(puts(GATEWAY))


def test_a_lease_without_a_pool_holds_nothing(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))
    plan.database.pools.delete_one({"_id": "local@nodea/100.64.0.0/30"})
    conflict_of(second, puts(POOL))
    second.commit(puts(POOL))

    second.commit(puts(LEASE))

    assert set(plan.open("nodeb").load()) == {POOL, LEASE}
