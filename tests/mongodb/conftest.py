"""One replica set of three for all the tests that leave it whole."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import pytest
from hypothesis import settings
from pymongo import MongoClient

from tests.contract.conftest import (
    MakeStore,
    driver,
    engine_a,
    engine_b,
    program,
    shared_engine,
    shared_program,
)
from tests.mongodb import guarded as guarding
from tests.mongodb.guarded import GuardedServer
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import Client, Document, ReplicaSet, loopback_places

__all__ = ["driver", "engine_a", "engine_b", "program", "shared_engine", "shared_program"]

pytest.register_assert_rewrite("tests.support.store_behaviour")

settings.register_profile("pyipam", deadline=None, print_blob=True)
settings.load_profile("pyipam")


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    """Three members with a primary. A test that harms one mends it."""
    found = ReplicaSet(ensure_mongod(), tmp_path_factory.mktemp("mongodb"), loopback_places())
    try:
        found.start()
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def make_store(replica_set: ReplicaSet) -> MakeStore:
    """Makes databases in the replica set, for plugins as they are in the tests of the contract."""
    numbers = count()

    @contextmanager
    def make() -> Iterator[Mapping[str, str]]:
        name = f"contract{next(numbers)}"
        try:
            yield {"STORE_URL": replica_set.url_of(name), "NODE_NAME": "nodea"}
        finally:
            with closing_client(replica_set) as client:
                client.drop_database(name)

    return make


@contextmanager
def closing_client(replica_set: ReplicaSet) -> Iterator[Client]:
    client: Client = MongoClient(replica_set.url, w="majority")
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def guarded(guarded_server: GuardedServer) -> GuardedServer:
    """A member that speaks TLS alone, knows one user, and stores nothing yet."""
    guarded_server.empty()
    return guarded_server


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    server = GuardedServer(tmp_path_factory.mktemp("guarded"))
    try:
        server.start()
        yield server
    finally:
        server.member.kill()


@pytest.fixture
def credentials() -> Document:
    """What the credentials file holds, for that user."""
    return guarding.credentials()
