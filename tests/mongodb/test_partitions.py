"""Commits while the network is partitioned: a member is cut off from all others, or only from other
members."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Record
from tests.mongodb.load import GRACE_SECONDS, LARGE, Load, is_put, leases
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.releases import release_named
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.network import Host, network
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.stored_records import DRIVER, LEASE, POOL, deletes, puts


@dataclass(frozen=True)
class Site:
    """A replica set with each member on a host of its own. The test runs on another host."""

    replica_set: ReplicaSet
    members: list[Host]

    @property
    def primary(self) -> Host:
        return self._host(self.replica_set.primary().place.host)

    @property
    def secondaries(self) -> list[Host]:
        return [self._host(member.place.host) for member in self.replica_set.secondaries()]

    def _host(self, address: str) -> Host:
        (found,) = (host for host in self.members if host.address == address)
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[Site]:
    chroot = ensure_chroot(release_named("26.1"), say)
    with network(chroot, 4) as (user, *members), user.entered():
        places = [member.place for member in members]
        replica_set = ReplicaSet(ensure_mongod(), tmp_path_factory.mktemp("site"), places)
        try:
            replica_set.start()
            yield Site(replica_set, members)
        finally:
            replica_set.close()


@pytest.fixture
def plan(site: Site) -> Iterator[SharedPlan]:
    with shared_plan(site.replica_set) as plan:
        try:
            yield plan
        finally:
            for member in site.members:
                member.reconnect()
            site.replica_set.repair()


@pytest.fixture
def store(plan: SharedPlan) -> MongoDbStore:
    store = plan.loaded()
    store.commit(puts(POOL, LARGE, DRIVER))
    return store


def cut_off_from_all(site: Site) -> None:
    site.primary.cut_off()


def cut_off_from_the_members(site: Site) -> None:
    """Clients still reach the primary, which does not know that another one was elected."""
    primary, secondaries = site.primary, site.secondaries
    primary.cut_off_from(secondaries)


@pytest.mark.parametrize("cut", [cut_off_from_all, cut_off_from_the_members])
def test_exactly_what_was_acknowledged_is_stored_after_the_primary_was_cut_off(
    site: Site, plan: SharedPlan, store: MongoDbStore, cut: Callable[[Site], None]
) -> None:
    before = plan.records()

    with Load(store, leases()) as load:
        assert load.has_gone_on()
        cut(site)
        assert load.has_gone_on()
        for member in site.members:
            member.reconnect()
        site.replica_set.repair()
        assert load.has_gone_on()
    load.undo_uncertain([DRIVER])

    expected: set[Record] = {
        change.record for batch in load.acknowledged for change in batch if is_put(change)
    }
    assert plan.records() - before == expected
    assert load.longest_seconds < 20.0 + GRACE_SECONDS


def test_a_client_that_is_cut_off_fails_within_its_time_and_commits_again_later(
    site: Site, plan: SharedPlan, store: MongoDbStore
) -> None:
    for member in site.members:
        member.cut_off()

    begin = time.monotonic()
    with pytest.raises(StoreFailure):
        store.commit(puts(LEASE), within=3.0)
    assert time.monotonic() - begin < 3.0 + GRACE_SECONDS
    for member in site.members:
        member.reconnect()

    store.commit(deletes(LEASE), within=20.0)
    store.commit(puts(LEASE), within=20.0)
    assert plan.records() == {POOL, LARGE, DRIVER, LEASE}


def test_commits_do_not_need_a_secondary_that_is_cut_off(
    site: Site, plan: SharedPlan, store: MongoDbStore
) -> None:
    site.secondaries[0].cut_off()

    store.commit(puts(LEASE))

    assert LEASE in plan.records()
