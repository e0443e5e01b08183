"""What Docker is answered while members of the replica set are lost: every call is answered before
dockerd gives up, and what is stored is what was answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from pyipam.store.records import LeaseRecord, PoolRecord
from tests.mongodb.losses import LOSSES
from tests.mongodb.nodes import SharedPlan
from tests.support.dockerd import Pool, Reply, pool_of, pool_request
from tests.support.mongodb.hosts import Host, running_hosts
from tests.support.mongodb.replica_set import ReplicaSet, wait_for
from tests.support.program import scope

pytestmark = pytest.mark.usefixtures("repaired_afterwards")

SCOPES = (
    scope("10.0.0.0/16", 28, tags=["default"]),
    scope("10.1.0.0/20", 20, tags=["shared"]),
)
SHARED = "10.1.0.0/20"
CONNECTIONS = 3
# dockerd gives up then. The store takes at most 20, and more on a busy machine.
MAX_SECONDS = 30.0


class Worker:
    """One connection, on which networks and containers come and go, and what it was answered."""

    def __init__(self, host: Host, shared: Pool, seed: int) -> None:
        self.host = host
        self.pools: set[str] = set()
        self.leases: set[tuple[str, str]] = set()
        # Their release was refused: it is not known whether they are held.
        self.unknown: set[str | tuple[str, str]] = set()
        self.answered = 0
        self.refusals: list[str] = []
        self.longest_seconds = 0.0
        self._driver = host.connect()
        self._shared = shared
        self._choose = Random(seed)

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._choose.choice(
                [self._start, self._start, self._start, self._stop, self._create, self._remove]
            )()

    def _call(self, name: str, body: dict[str, object]) -> Reply | None:
        """The reply; None if the call was refused."""
        begin = time.monotonic()
        reply = self._driver.call(name, body)
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - begin)
        if reply.status == 200:
            self.answered += 1
            return reply
        self.refusals.append(reply.error())
        return None

    def _start(self) -> None:
        pool_id = self._choose.choice([self._shared.id, *sorted(self.pools)])
        reply = self._call("RequestAddress", {"PoolID": pool_id, "Address": "", "Options": None})
        if reply is not None:
            self.leases.add((pool_id, reply.json()["Address"].partition("/")[0]))

    def _stop(self) -> None:
        if not self.leases:
            return
        lease = self._choose.choice(sorted(self.leases))
        self.leases.remove(lease)
        pool_id, address = lease
        if self._call("ReleaseAddress", {"PoolID": pool_id, "Address": address}) is None:
            self.unknown.add(lease)

    def _create(self) -> None:
        reply = self._call("RequestPool", pool_request())
        if reply is not None:
            self.pools.add(pool_of(reply).id)

    def _remove(self) -> None:
        if len(self.pools) < 5:
            return
        pool_id = self._choose.choice(sorted(self.pools))
        self.pools.remove(pool_id)
        inside = {lease for lease in self.leases | self.unknown if lease[0] == pool_id}
        self.leases -= inside
        self.unknown -= inside
        if self._call("ReleasePool", {"PoolID": pool_id}) is None:
            self.unknown |= {pool_id, *inside}


class Load:
    """Workers on every host, all at the same time."""

    def __init__(self, hosts: list[Host]) -> None:
        shared = {host.name: host.connect().request_pool(SHARED) for host in hosts}
        self.workers = [
            Worker(host, shared[host.name], number)
            for number, host in enumerate(host for host in hosts for _ in range(CONNECTIONS))
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        stopping = threading.Event()
        failures: list[BaseException] = []

        def run(worker: Worker) -> None:
            try:
                worker.run(stopping)
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=run, args=[worker]) for worker in self.workers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        assert failures == []

    def goes_on(self, calls: int = 20) -> None:
        """Wait until every worker has got this many more answers."""
        wanted = [worker.answered + calls for worker in self.workers]
        wait_for(
            lambda: all(
                worker.answered >= count for worker, count in zip(self.workers, wanted, strict=True)
            ),
            "every worker",
        )

    def is_refused(self, words: str) -> None:
        """Wait until every worker has had a call refused, and one of them with these words."""
        wait_for(
            lambda: (
                all(worker.refusals for worker in self.workers)
                and any(words in text for worker in self.workers for text in worker.refusals)
            ),
            f"every worker's refusal, one of them with: {words}",
        )


@pytest.fixture
def hosts(plan: SharedPlan) -> Iterator[list[Host]]:
    with running_hosts(plan.address.url, ("nodea", "nodeb"), SCOPES) as hosts:
        yield hosts


def check_what_was_answered(plan: SharedPlan, hosts: list[Host], load: Load) -> None:
    """Check that exactly what was answered is stored and shown."""
    for host in hosts:
        host.wait_until_settled()
        workers = [worker for worker in load.workers if worker.host is host]
        answered: set[object] = {f"local/{SHARED}"}.union(
            *(worker.pools for worker in workers), *(worker.leases for worker in workers)
        )
        unknown = set[object]().union(*(worker.unknown for worker in workers))
        stored = held_in(plan, host)
        assert answered - stored == set()
        assert stored - answered - unknown == set()
        assert shown_by(host) == stored


def held_in(plan: SharedPlan, host: Host) -> set[object]:
    held: set[object] = set()
    for record in plan.records(host.name):
        if isinstance(record, PoolRecord) and record.id.startswith("local/"):
            held.add(record.id)
        elif isinstance(record, LeaseRecord) and record.pool.startswith("local/"):
            held.add((record.pool, record.address))
    return held


def shown_by(host: Host) -> set[object]:
    driver = host.connect()
    shown: set[object] = set(driver.held())
    for name in driver.held():
        shown |= {(name, address) for address in driver.leases(Pool(name, ""))}
    return shown


@pytest.mark.parametrize("lose", LOSSES)
def test_exactly_what_was_answered_is_stored_after_the_primary_was_lost(
    plan: SharedPlan, hosts: list[Host], lose: Callable[[ReplicaSet], None]
) -> None:
    load = Load(hosts)

    with load.running():
        load.goes_on()
        lose(plan.replica_set)
        load.goes_on()
        plan.replica_set.repair()
        load.goes_on()

    assert max(worker.longest_seconds for worker in load.workers) < MAX_SECONDS
    check_what_was_answered(plan, hosts, load)


def test_exactly_what_was_answered_is_stored_after_all_members_were_lost_and_came_back(
    plan: SharedPlan, hosts: list[Host]
) -> None:
    load = Load(hosts)

    with load.running():
        load.goes_on()
        plan.replica_set.kill_all()
        load.is_refused("no primary can be reached")
        assert [host.failure() for host in hosts] != [None, None]
        plan.replica_set.repair()
        load.goes_on()

    assert max(worker.longest_seconds for worker in load.workers) < MAX_SECONDS
    check_what_was_answered(plan, hosts, load)
