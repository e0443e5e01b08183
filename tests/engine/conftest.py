"""Private engines for the tests: one for each file and each version.

The versions are those of tests/support/engine/releases.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.host_command import Command
from tests.support.engine.images import load_busybox
from tests.support.engine.objects import DRIVER, clear
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import engines_between, engines_under_test
from tests.support.engine.schemas import Scope, UseSchema, default_schema, mount_schema, schema_text


@pytest.fixture(scope="session", params=[*engines_under_test(), *engines_between()])
def version(request: pytest.FixtureRequest, say: Say) -> str:
    """The version of the engine. Every test runs on each version."""
    homes.remove_abandoned(say)
    return str(request.param)


@pytest.fixture(scope="module")
def engine(version: str, bundle: Path, say: Say) -> Iterator[PrivateEngine]:
    """A running engine for one file, with busybox, the enabled plugin, and its short name."""
    with PrivateEngine(version, say) as engine:
        say(f"engine {engine.server_version()} is up")
        load_busybox(engine)
        plugin = Plugin.create(engine, DRIVER, bundle)
        plugin.enable()
        plugin.point_alias("pyipam")
        yield engine
        say(f"removing engine {version}")


@pytest.fixture
def plugin(engine: PrivateEngine) -> Iterator[Plugin]:
    """The enabled plugin, which must hold nothing after the test once Docker has removed all."""
    plugin = Plugin(engine, DRIVER)
    yield plugin
    clear(engine)
    assert plugin.held() == []


@pytest.fixture
def use_schema(engine: PrivateEngine, plugin: Plugin) -> Iterator[UseSchema]:
    """Restarts the plugin with the given scopes, and after the test with the default schema."""

    def use(*scopes: Scope) -> None:
        mount_schema(plugin, schema_text(*scopes))

    yield use
    clear(engine)
    mount_schema(plugin, default_schema())


@pytest.fixture
def command(engine: PrivateEngine, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command `pyipam` on the host of the engine."""
    return Command(engine, capsys)
