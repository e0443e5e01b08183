"""What a user of Docker waits for, in a private engine: pyipam beside Docker's own driver."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.plan import MANY, write_schema
from bench.samples import Samples
from tests.support.engine import homes
from tests.support.engine.images import BUSYBOX, load_busybox
from tests.support.engine.objects import DRIVER
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

VERSION = "26.1"
OWN_DRIVER = "Docker's own"
PYIPAM = "pyipam"
EMPTY = "empty"
COMMANDS = ("docker network create", "docker run --rm", "docker network rm")

_SCHEMA = "etc/pyipam/schema.json"
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    OWN_DRIVER: (),
    PYIPAM: ("--ipam-driver", DRIVER, "--ipam-opt", f"scope_filter_tags={MANY}"),
}


@contextmanager
def engine_with_plugin(bundle: Path, say: Callable[[str], None]) -> Iterator[Plugin]:
    """A running engine with the plugin installed and enabled, under the schema of the benchmark."""
    homes.remove_abandoned(say)
    with PrivateEngine(VERSION, say) as engine:
        load_busybox(engine)
        plugin = Plugin.create(engine, DRIVER, bundle)
        path = engine.root / _SCHEMA
        path.parent.mkdir(parents=True, exist_ok=True)
        write_schema(path)
        plugin.set(SCHEMA_PATH=f"/{_SCHEMA}")
        plugin.enable()
        yield plugin


def measure_commands(engine: PrivateEngine, rounds: int) -> dict[str, dict[str, Samples]]:
    """The seconds of each of COMMANDS with either driver; each round begins with the other one."""
    found = {command: {name: Samples() for name in _OPTIONS} for command in COMMANDS}
    _commands(engine, PYIPAM)
    for number in range(rounds):
        names = list(_OPTIONS)[:: 1 if number % 2 else -1]
        for name in names:
            for command, seconds in zip(COMMANDS, _commands(engine, name), strict=True):
                found[command][name].add(seconds)
    return found


def _commands(engine: PrivateEngine, name: str) -> list[float]:
    lines = (
        ("network", "create", *_OPTIONS[name], "measured"),
        ("run", "--rm", "--network", "measured", BUSYBOX, "true"),
        ("network", "rm", "measured"),
    )
    return [engine.docker(*line).check().seconds for line in lines]


def measure_enable(plugin: Plugin, states: Mapping[str, Path], rounds: int) -> dict[str, Samples]:
    """The seconds of `docker plugin enable` over each of the states, in turns. The former state of
    the plugin is lost."""
    found = {name: Samples() for name in states}
    for _ in range(rounds):
        for name, state in states.items():
            plugin.disable()
            shutil.rmtree(plugin.state)
            shutil.copytree(state, plugin.state)
            command = ("plugin", "enable", plugin.name)
            found[name].add(plugin.engine.docker(*command).check().seconds)
            assert bool(plugin.pools()) == (name != EMPTY), plugin.status()
    return found
