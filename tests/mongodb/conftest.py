"""Empty plans in the replica set, and a guarded server for the tests of credentials and TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mongodb import guarded as guarding
from tests.mongodb.guarded import GuardedServer
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.in_process import captured_log
from tests.support.mongodb.replica_set import Document, ReplicaSet


@pytest.fixture
def plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """An empty plan."""
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture
def second_plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """Another empty plan."""
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that a plan is exported to."""
    return tmp_path / "plan.json"


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The lines of the log so far, from level info on, each with its level."""
    with captured_log() as lines:
        yield lines


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how many seconds `nodes forget` would have waited; it does not."""
    seconds: list[float] = []
    monkeypatch.setattr("pyipam.cli.forgetting.sleep", seconds.append)
    return seconds


@pytest.fixture
def repaired_afterwards(plan: SharedPlan) -> Iterator[None]:
    """For tests that harm members of the replica set: they are repaired before the next test."""
    yield
    plan.replica_set.repair()


@pytest.fixture
def guarded(guarded_server: GuardedServer) -> GuardedServer:
    """A member that accepts TLS only, knows one user, and is empty."""
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
    """The content of the credentials file for that user."""
    return guarding.credentials()
