"""The plugin in this process: bodies go to its applications as bytes, without a socket."""

from __future__ import annotations

import io
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyipam import log
from pyipam.api.app import make_app
from pyipam.api.engine import ENGINE
from pyipam.core.clock import Clock
from pyipam.driver_names import MAIN_DRIVER
from pyipam.plan.schema_source import MountedFile
from pyipam.runtime.configured_store import open_configured_store
from pyipam.runtime.plugin import Plugin
from pyipam.settings import Alias, read_places, read_settings
from pyipam.store.protocol import Store
from pyipam.store.records import LeaseRecord, PoolRecord
from tests.support.dockerd import Reply, go_json
from tests.support.pages import whole
from tests.support.reading import pools_in

Records = dict[object, PoolRecord | LeaseRecord]


class InProcess:
    """A plugin with a state folder, or with the given store. A test sets its clock."""

    def __init__(
        self,
        home: Path,
        schema: str,
        store: Store | None = None,
        aliases: tuple[str, ...] = (),
        node: str = "",
    ) -> None:
        (home / "schema.json").write_text(schema)
        self._home = home
        self._store = store
        self._aliases = aliases
        self._node = node
        self.engine = "engine-1"
        self.seconds = 1_700_000_000.0
        self.start()

    def start(self) -> None:
        """Start the plugin, and load what its store holds."""
        places = read_places(
            {
                "PYIPAM_STATE": str(self._home / "state"),
                "PYIPAM_SCHEMA": str(self._home / "schema.json"),
            }
        )
        aliases = ";".join(f"{name}=" for name in self._aliases)
        settings = read_settings({"DRIVER_ALIASES": aliases, "NODE_NAME": self._node})
        self.plugin = Plugin(
            settings,
            places,
            MountedFile(places.schema),
            lambda: self._store or open_configured_store(settings, places, ""),
            Clock(lambda: self.seconds, lambda: self.seconds, lambda _: None),
        )
        self.plugin.load()
        names = (MAIN_DRIVER, *self._aliases)
        self._apps = {name: make_app(self.plugin, Alias(name)) for name in names}

    def stop(self) -> None:
        """Stop the plugin."""
        self.plugin.close()

    def kill(self) -> None:
        """Leave the state as a killed process leaves it."""
        state = self._home / "state"
        left = Path(shutil.copytree(state, self._home / "left"))
        self.plugin.close()
        shutil.rmtree(state)
        left.rename(state)

    def call(self, name: str, body: dict[str, Any] | None = None, driver: str = "driver") -> Reply:
        """Send a call of the driver with a body as dockerd writes it; the answer."""
        content = b"" if body is None else go_json(body).encode()
        return self.send("POST", f"/IpamDriver.{name}", content, driver)

    def send(self, method: str, path: str, body: bytes = b"", driver: str = "driver") -> Reply:
        """Send a request of the present engine, in a commit of its own; the answer."""
        (reply,) = self.plugin.commit([lambda: self.answer(method, path, body, driver)])
        return reply

    def answer(self, method: str, path: str, body: bytes = b"", driver: str = "driver") -> Reply:
        """Send a request without a commit, as the server does with views; the answer."""
        environment = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path.partition("?")[0],
            "QUERY_STRING": path.partition("?")[2],
            "SERVER_NAME": "pyipam",
            "SERVER_PORT": "0",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            ENGINE: self.engine,
        }
        started: list[tuple[str, dict[str, str]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _: object = None
        ) -> Callable[[bytes], object]:
            started.append((status, {key.lower(): value for key, value in headers}))
            return lambda _: None

        content = b"".join(self._apps[driver](environment, start_response))
        ((status, headers),) = started
        return Reply(int(status.split(" ")[0]), headers.get("content-type", ""), content)

    def get(self, target: str) -> Any:
        """The content of a read-only view; of a list, all of it."""

        def page(target: str) -> Any:
            reply = self.answer("GET", target)
            assert reply.status == 200, reply
            return json.loads(reply.body)

        return whole(page, target)

    def known(self) -> Records:
        """Every pool and lease in memory, by its key."""
        found: Records = {}
        for pool, subnet in pools_in(self.plugin.ipam):
            found[pool.key] = pool
            found.update((lease.key, lease) for lease in subnet.leases.values())
        return found


class _Lines(log.Output):
    """An output that keeps the lines instead of writing them."""

    def __init__(self) -> None:
        super().__init__(1)
        self.lines: list[str] = []

    def add(self, level: int, text: str) -> None:
        self.lines.append(f"level={logging.getLevelName(level)} {text}\n")


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """The lines of level info and above that the plugin logs while the block runs."""
    output = _Lines()
    log.write_to(output, "info")
    try:
        yield output.lines
    finally:
        log.write_to(_Lines(), "error")
