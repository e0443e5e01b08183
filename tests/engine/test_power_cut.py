"""The power of the whole engine is cut while it starts containers: no address is given twice."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.support.engine.images import BUSYBOX
from tests.support.engine.objects import Container, create_network, run_container, try_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

_COUNT = 20
# A /27 without the network address, the broadcast address and the gateway.
_ROOM = 29
_START_SECONDS = 180


def _leases(plugin: Plugin) -> dict[str, bool]:
    """The addresses that are leased to containers, each with whether Docker has claimed it."""
    leases = [lease for lease in plugin.leases() if lease["kind"] == "container"]
    return {str(lease["address"]): bool(lease["claimed"]) for lease in leases}


@contextmanager
def _starting_containers(engine: PrivateEngine) -> Iterator[None]:
    """Twenty `docker run` at once; the engine restarts every second container."""
    inside = engine.inside

    def run(number: int) -> None:
        restart = "always" if number % 2 else "no"
        options = ["--detach", f"--name=c{number}", "--network=net", f"--restart={restart}"]
        inside.run(["docker", "run", *options, BUSYBOX])

    with ThreadPoolExecutor(_COUNT) as threads:
        for number in range(_COUNT):
            threads.submit(run, number)
        yield


def _container_names(engine: PrivateEngine) -> list[str]:
    return sorted(c["Names"][0].strip("/") for c in engine.listing("/containers/json?all=1"))


def _addresses(engine: PrivateEngine) -> list[str]:
    """The addresses of all containers."""
    containers = [Container(engine, name) for name in _container_names(engine)]
    return [address.partition("/")[0] for c in containers for address in c.addresses]


def _cut_while_starting(engine: PrivateEngine, plugin: Plugin) -> None:
    """Cut the power when some of twenty containers have their addresses, then start the engine and
    all containers that it knows."""
    seed = random.randrange(2**32)
    some = random.Random(seed).randrange(3, 16)
    print(f"seed {seed}: the power is cut at {some} leases")
    with _starting_containers(engine):
        engine.wait_for(f"{some} leases", lambda: len(_leases(plugin)) >= some, _START_SECONDS)
        engine.cut_power()
    engine.start()
    engine.wait_for("the plugin is back", lambda: plugin.process() != 0)
    for name in _container_names(engine):
        engine.must("start", name)


def test_after_a_power_cut_no_address_is_shared_and_leaked_ones_are_given_out_last(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipam-opt", "prefix=27")

    _cut_while_starting(engine, plugin)

    addresses, leases = _addresses(engine), _leases(plugin)
    leaked = leases.keys() - set(addresses)
    print(f"{len(addresses)} containers, {len(leaked)} leaked addresses")
    assert addresses
    assert len(set(addresses)) == len(addresses)
    assert {address for address, claimed in leases.items() if not claimed} == leaked
    assert leases.keys() >= set(addresses)

    news = [
        run_container(engine, f"new{number}", "net").addresses[0].partition("/")[0]
        for number in range(_ROOM - len(addresses))
    ]

    assert len(set(_addresses(engine))) == _ROOM
    assert set(news[len(news) - len(leaked) :]) == leaked
    assert Container(engine, "new0").reaches(news[-1])
    assert "has no free address" in try_container(engine, "more", "net").stderr
