"""A guarded server for the tests that are about credentials and TLS."""

from collections.abc import Iterator

import pytest

from tests.mongodb import guarded as guarding
from tests.mongodb.guarded import GuardedServer
from tests.support.mongodb.replica_set import Document


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
