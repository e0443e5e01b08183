"""Hosts that share a plan, each with an engine and a plugin process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.support.dockerd import Driver, Engine, engine
from tests.support.program import Program, new_program, scope, wait_until

# A subnet that no test draws from.
SPARE = "10.255.0.0/28"


class Host:
    """An engine and its plugin, which has a NODE_NAME of its own."""

    def __init__(self, name: str, program: Program, engine: Engine) -> None:
        self.name = name
        self.program = program
        self.engine = engine

    def start(self) -> Driver:
        """Start the plugin, and announce the engine to it. Returns the connection for that."""
        self.program.start()
        driver = self.connect()
        driver.announce()
        return driver

    def connect(self) -> Driver:
        """A new connection of the engine."""
        return self.program.driver(self.engine)

    def failure(self) -> str | None:
        """The problem that the plugin reports, if any."""
        driver = self.connect()
        failure = driver.get("/v1/status")["failure"]
        driver.close()
        return None if failure is None else str(failure)

    def wait_until_settled(self) -> None:
        """Wait until nothing is wrong and nothing remains to be undone, which a call that changes
        something proves."""
        wait_until(lambda: self.failure() is None, f"nothing is wrong with {self.name}")
        driver = self.connect()
        pool = driver.request_pool(SPARE)
        driver.release_pool(pool)
        driver.close()


@contextmanager
def new_host(store_url: str, name: str, settings: Mapping[str, str]) -> Iterator[Host]:
    """A host whose plugin was never started, and keeps its plan there."""
    ours = {"STORE_URL": store_url, "NODE_NAME": name, **settings}
    with new_program(ours) as program, engine() as run:
        yield Host(name, program, run)


@contextmanager
def running_hosts(
    store_url: str, names: Sequence[str], scopes: Sequence[Mapping[str, Any]], **settings: str
) -> Iterator[list[Host]]:
    """Hosts of these names, whose plugins share a plan there, and run with these scopes."""
    with ExitStack() as stack:
        hosts = [stack.enter_context(new_host(store_url, name, settings)) for name in names]
        for host in hosts:
            host.program.write_schema(*scopes, scope(SPARE, 28))
            host.start()
        yield hosts
