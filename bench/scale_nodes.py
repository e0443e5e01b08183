"""Nodes of one plan, many in one process: the plugin's core over its store in MongoDB.

What each node was told is remembered here, as by its Docker engine: the audit compares it with what
the database holds.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.core.selection import Policy
from pyipam.driver_names import MAIN_DRIVER
from pyipam.errors import PyipamError, StoreFailure, Unavailable
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import parse_address
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.committing import Connect
from pyipam.store.mongodb.connection import MAJORITY, open_database
from pyipam.store.mongodb.documents import StoredDocument
from pyipam.store.mongodb.store import MongoDbStore

SCHEMA = (
    '{"schema_version": 1, "scopes": [{"network": "10.0.0.0", "prefix": 8, '
    '"node_prefix": 21, "child_prefix": 27}]}'
)
_CONTAINERS = 3
_NETWORKS_OF_AN_AGGREGATE = 64
_ATTEMPTS = 10
# How far into the last call of a node its process ends, at most.
_LAST_CALL_SECONDS = 0.01

# The addresses of each network, by the id of its pool.
Networks = dict[str, set[str]]


class SharedClient(MongoClient[StoredDocument]):
    """The client of all nodes of a process, so none of them closes it. Each client has threads that
    wake twice a second: those of a thousand would take both processors."""

    def close(self) -> None:
        """Does nothing: the process ends soon."""

    def connect(self, address: StoreAddress, _folder: Path) -> Database[StoredDocument]:
        """The database of a store, as its own client would have it."""
        return self.get_database(
            address.database, read_concern=ReadConcern("majority"), write_concern=MAJORITY
        )


def tree() -> ScopeTree:
    """The scope that all of them draw from."""
    found = read_schema(SCHEMA)
    assert isinstance(found, ScopeTree), found
    return found


class Day:
    """The time of a simulated day, which only goes on when it is told to."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self.clock = Clock(
            lambda: time.time() + self._ahead, lambda: time.monotonic() + self._ahead
        )

    def pass_by(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead += seconds


@dataclass
class Counted:
    """The calls that were answered, those that were refused, and those without a known outcome."""

    answered: int = 0
    refused: list[str] = field(default_factory=list)
    unknown: int = 0


class Node:
    """A node, through all the processes that serve it. One call at a time."""

    def __init__(
        self, url: str, name: str, folder: Path, day: Day, connect: Connect = open_database
    ) -> None:
        self.name = name
        self._connect = connect
        self.networks: Networks = {}
        self.counted = Counted()
        # Whether it is unknown what the last call of the last process has stored, and the network
        # that it had been told of in that call.
        self._is_last_call_unknown = False
        self._last: set[str] = set()
        self._address = StoreAddress(url)
        self._folder = folder
        self._day = day
        self._labels = 0
        self._store: MongoDbStore | None = None
        self._ipam: Ipam | None = None
        self._stopping = threading.Event()
        self._following: threading.Thread | None = None

    @property
    def ipam(self) -> Ipam:
        """The core of the present process."""
        assert self._ipam is not None, f"{self.name} is not running"
        return self._ipam

    @property
    def is_running(self) -> bool:
        """Whether a process serves it now."""
        return self._ipam is not None

    # Its processes

    def start(self) -> float:
        """Start a process that knows the plan; how many seconds that took."""
        begun = time.monotonic()
        store = MongoDbStore(self._address, self.name, self._folder, self._connect)
        ipam = Ipam(store, Policy(), self._day.clock, node=self.name)
        for attempt in range(_ATTEMPTS):
            try:
                ipam.load(tree())
                break
            except Unavailable:
                # As the plugin does: hundreds start at once here.
                if attempt == _ATTEMPTS - 1:
                    raise
        self._store, self._ipam = store, ipam
        return time.monotonic() - begun

    def follow(self) -> None:
        """Hear of the other nodes from now on, until the process ends, in a thread."""
        assert self._store is not None
        self._stopping.clear()
        work = self._store.run_background_work
        self._following = threading.Thread(target=work, args=[self._stopping], daemon=True)
        self._following.start()

    def stop(self) -> None:
        """End the process between two calls."""
        assert self._store is not None
        self._stopping.set()
        self._store.close()
        if self._following is not None:
            # No thread lives to see the process that takes the place of this one.
            self._following.join()
        self._store = self._ipam = self._following = None

    def die(self) -> None:
        """End the process in the middle of a call."""
        call = threading.Thread(target=self._last_call)
        call.start()
        time.sleep(random.uniform(0.0, _LAST_CALL_SECONDS))
        self.stop()
        call.join()

    def _last_call(self) -> None:
        before = set(self.networks)
        try:
            self._create(self.ipam)
        except Exception:
            # The connection is closed under the call, wherever that is.
            self._is_last_call_unknown = True
            self._last = self.networks.keys() - before

    def come_back(self) -> list[str]:
        """Start again; what is wrong with what is known then."""
        self.start()
        held = self.held()
        if self._is_last_call_unknown:
            self._accept_last_call(held)
        return differences(self.name, self.networks, held)

    def _accept_last_call(self, held: Networks) -> None:
        """Know what the last call of the last process has stored: a network, if it was not told of
        one, or else containers in that."""
        more = self._last or held.keys() - self.networks.keys()
        if len(more) == 1:
            self.networks |= {pool: held[pool] for pool in more if pool in held}
        self._is_last_call_unknown = False

    def problems(self) -> list[str]:
        """What differs between what it was told and what its core knows."""
        return differences(self.name, self.networks, self.held())

    def held(self) -> Networks:
        """What this node holds, as its core knows it."""
        with self.ipam.reading() as state:
            return {
                pool.id: {lease.address for lease in state.holdings.leases_of(pool)}
                for pool in state.holdings.pools()
                if pool.released is None
            }

    # Its calls

    def fill(self, networks: int) -> None:
        """Create so many networks with their containers, as many as possible in one commit: the
        engine starts."""
        attempts_left = _ATTEMPTS
        while len(self.networks) < networks:
            # Whatever claims an aggregate collides with other nodes that do. That is over soonest
            # by itself.
            room = -len(self.networks) % _NETWORKS_OF_AN_AGGREGATE or 1
            try:
                self._create_together(min(room, networks - len(self.networks)))
            except StoreFailure:
                # As people do: hundreds fill at once here, and the database may take longer than
                # a call waits.
                attempts_left -= 1
                if not attempts_left:
                    raise

    def _create_together(self, networks: int) -> None:
        ipam = self.ipam
        given: Networks = {}

        def create() -> None:
            pool = ipam.request_pool(self._request())
            containers = (ipam.request_address(_any_address(pool)) for _ in range(_CONTAINERS))
            given[pool] = {grant.address for grant in containers}

        # A commit that collides with another one is made again.
        ipam.commit([given.clear, *[create] * networks])
        self.networks |= given
        self.counted.answered += networks * (1 + _CONTAINERS)

    def work(self, choose: random.Random) -> None:
        """One of the things that happen to a node on an ordinary day."""
        act: Callable[[], None] = choose.choice(
            [
                partial(self._create, self.ipam),
                partial(self._remove, choose),
                partial(self._start_container, choose),
                partial(self._stop_container, choose),
            ]
        )
        try:
            act()
        except StoreFailure:
            self.counted.unknown += 1
        except PyipamError as refusal:
            self.counted.refused.append(str(refusal))

    def create(self) -> str:
        """A network, without containers; the id of its pool."""
        (pool,) = self.ipam.commit([partial(self.ipam.request_pool, self._request())])
        self.networks[pool] = set()
        self.counted.answered += 1
        return pool

    def add_container(self, pool: str) -> str:
        """A container in a network; its address."""
        (grant,) = self.ipam.commit([partial(self.ipam.request_address, _any_address(pool))])
        self.networks[pool].add(grant.address)
        self.counted.answered += 1
        return grant.address

    def remove(self, pool: str) -> None:
        """The end of a network and its containers."""
        ipam = self.ipam
        addresses = map(parse_address, self.networks[pool])
        ipam.commit(
            [
                *(partial(ipam.release_address, MAIN_DRIVER, pool, each) for each in addresses),
                partial(ipam.release_pool, MAIN_DRIVER, pool),
            ]
        )
        self.counted.answered += 1 + len(self.networks.pop(pool))

    def _create(self, ipam: Ipam) -> None:
        (pool,) = ipam.commit([partial(ipam.request_pool, self._request())])
        self.networks[pool] = set()
        calls = [partial(ipam.request_address, _any_address(pool))] * _CONTAINERS
        self.networks[pool].update(grant.address for grant in ipam.commit(calls))
        self.counted.answered += 1 + _CONTAINERS

    def _remove(self, choose: random.Random) -> None:
        if self.networks:
            self.remove(choose.choice(sorted(self.networks)))

    def _start_container(self, choose: random.Random) -> None:
        if self.networks:
            self.add_container(choose.choice(sorted(self.networks)))

    def _stop_container(self, choose: random.Random) -> None:
        pool = choose.choice(sorted(self.networks)) if self.networks else ""
        if not self.networks.get(pool):
            return
        address = choose.choice(sorted(self.networks[pool]))
        release = self.ipam.release_address
        self.ipam.commit([partial(release, MAIN_DRIVER, pool, parse_address(address))])
        self.networks[pool].remove(address)
        self.counted.answered += 1

    def _request(self) -> PoolRequest:
        self._labels += 1
        return PoolRequest(MAIN_DRIVER, "local", 4, label=f"network {self._labels}")


def differences(node: str, acknowledged: Networks, held: Networks) -> list[str]:
    """What differs between what a node was told and what it holds, in words."""
    found = [f"{node}: {pool} is lost" for pool in acknowledged.keys() - held.keys()]
    found += [f"{node}: nobody was told of {pool}" for pool in held.keys() - acknowledged.keys()]
    for pool in acknowledged.keys() & held.keys():
        if acknowledged[pool] != held[pool]:
            differing = sorted(acknowledged[pool] ^ held[pool])
            found.append(f"{node}: the leases of {pool} differ in {', '.join(differing)}")
    return found


def _any_address(pool: str) -> AddressRequest:
    return AddressRequest(MAIN_DRIVER, pool)
