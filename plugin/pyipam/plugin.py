"""The parts of a running plugin, put together and kept up to date."""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from pyipam import log
from pyipam.errors import PyipamError
from pyipam.ipam import Ipam
from pyipam.ledger import Clock
from pyipam.schema_source import MountedFile, SchemaInForce, SchemaSource
from pyipam.scopes import ScopeTree
from pyipam.selection import Policy
from pyipam.settings import Places, Settings
from pyipam.store.store import Store
from pyipam.store.tinydb_store import TinyDbStore

REFUSALS_KEPT = 100
_ERRORS_IN_A_MESSAGE = 10
_LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Refusal:
    """A call that was answered with an error: Docker does not always show it to anybody."""

    time: float
    call: str
    message: str


class Plugin:
    """What serves the calls. `failure` is set when the state cannot be read: then every call but
    the announcing ones is answered with it."""

    def __init__(self, settings: Settings, places: Places, mounted: MountedFile) -> None:
        self.settings = settings
        self.refusals: deque[Refusal] = deque(maxlen=REFUSALS_KEPT)
        self.failure: PyipamError | None = None
        self.schema = SchemaInForce("default", ScopeTree())
        self._source = SchemaSource(mounted, places.state / "schema.json", places.default_schema)
        self._stopping = threading.Event()
        self._store: Store | None = None
        self.ipam: Ipam | None = None
        try:
            self._open(settings, places)
        except PyipamError as error:
            self.failure = error
            log.error("the state cannot be used", reason=error)

    def start_threads(self) -> None:
        """Begin what goes on beside the calls, until `close`."""
        threading.Thread(target=self._watch_schema, name="schema", daemon=True).start()
        if self._store is not None and self.failure is None:
            maintain, stopping = self._store.maintain, self._stopping
            threading.Thread(target=maintain, args=[stopping], name="store", daemon=True).start()

    def _watch_schema(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY):
            changed = self._source.changed(self.schema)
            if changed is not None and self.ipam is not None:
                self._put_in_force(self.ipam, changed)

    def one_commit(self) -> AbstractContextManager[None]:
        """See Ipam.one_commit; nothing, where there is no state to commit to."""
        return nullcontext() if self.ipam is None else self.ipam.one_commit()

    def refuse(self, call: str, error: PyipamError) -> None:
        """Keep a refusal for the status, and write it to the log."""
        self.refusals.append(Refusal(time.time(), call, str(error)))
        log.warning("refused", call=call, reason=error)

    def close(self) -> None:
        """Bring the state to rest."""
        self._stopping.set()
        if self._store is not None:
            self._store.close()

    def _open(self, settings: Settings, places: Places) -> None:
        self._store = TinyDbStore(places.state, settings.layout)
        policy = Policy(settings.default_filter, settings.allow_unmanaged)
        ipam = Ipam(self._store, policy, Clock())
        self.schema = self._source.start()
        with _without_garbage_collection():
            ipam.load(self.schema.tree)
        self._put_in_force(ipam, self.schema)
        self.ipam = ipam

    def _put_in_force(self, ipam: Ipam, schema: SchemaInForce) -> None:
        if schema.tree is not self.schema.tree:
            ipam.use_schema(schema.tree)
        self.schema = schema
        reason = _refusal(schema, self.settings)
        if reason is not None:
            ipam.refuse_new_pools(reason)
        log.info("schema in force", origin=schema.origin, scopes=sum(1 for _ in schema.tree))
        for message in (*self.settings.errors, *map(str, schema.errors), *schema.warnings):
            log.warning("the operator must act", reason=message)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """What is loaded lives long and has no cycles: the collector would look at it again and
    again, and find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _refusal(schema: SchemaInForce, settings: Settings) -> str | None:
    """Why no new pool can be given out, or None."""
    problems = list(settings.errors)
    if schema.new_pools_refused:
        problems += [f"schema at {error}" for error in schema.errors]
    if not problems:
        return None
    shown = "; ".join(problems[:_ERRORS_IN_A_MESSAGE])
    more = len(problems) - _ERRORS_IN_A_MESSAGE
    rest = f"; and {more} more" if more > 0 else ""
    return (
        f"no new network can be given a subnet until this is mended with docker plugin set or in "
        f"the schema file: {shown}{rest}"
    )
