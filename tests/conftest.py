"""What every suite has: the shared fixtures, how hypothesis runs, how a run is interrupted."""

import signal
from types import FrameType

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.fixtures.engines",
    "tests.support.fixtures.programs",
    "tests.support.fixtures.spreading",
    "tests.support.fixtures.stores",
]

# On a loaded machine a slow example is not a failure.
settings.register_profile("pyipam", deadline=None, print_blob=True)
settings.load_profile("pyipam")


def pytest_configure() -> None:
    """Let SIGTERM end the run as Ctrl-C does, so that what was started is removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
