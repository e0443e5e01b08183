"""What every suite has: the shared fixtures, how hypothesis runs, how a run is interrupted."""

import signal
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.fixtures.engines",
    "tests.support.fixtures.programs",
    "tests.support.fixtures.stores",
]

# On a loaded machine a slow example is not a failure.
settings.register_profile("pyipam", deadline=None, print_blob=True)
settings.load_profile("pyipam")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share something costly in one of the processes that run them."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_shared_by(item)))


def _shared_by(item: pytest.Item) -> str:
    """A name of what a test shares with others: a replica set, a swarm, an engine, a
    browser, or its file."""
    file = item.path.relative_to(Path(__file__).parent)
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if file.parts[0] == "mongodb" or "make_store" in parameters:
        return "MongoDB"
    if file.parts[0] == "page":
        return "page"
    if file.parts[0] == "faults":
        return f"{file} {item.name.replace('@', ' ')}"
    return str(parameters.get("cluster", f"{file} {parameters.get('version', '')}"))


def pytest_configure() -> None:
    """Let SIGTERM end the run as Ctrl-C does, so that what was started is removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
