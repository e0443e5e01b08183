"""The parts of a running plugin, put together and kept up to date."""

from __future__ import annotations

import gc
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pyipam import log
from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.selection import Policy
from pyipam.errors import InvalidRequest, PyipamError, StateCorrupted, StoreFailure, Unavailable
from pyipam.plan.schema_source import REMEMBERED_NAME, MountedFile, SchemaInForce, SchemaSource
from pyipam.plan.scope_tree import ScopeTree
from pyipam.settings import Places, Settings, check_node_name
from pyipam.store.mongodb.address import store_address
from pyipam.store.opening import open_store
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS, Store

Result = TypeVar("Result")

REFUSALS_KEPT = 100
_ERRORS_IN_A_MESSAGE = 10
_LOOK_EVERY = 0.5
_LOOK_AGAIN_AFTER_A_FAULT = 60.0
_LOAD_AGAIN_AFTER = 1.0
# dockerd waits thirty for an answer.
_SECONDS_TO_LOAD = 25.0
_SECONDS_TO_END = 5.0
# Calls do not wait for longer behind what nobody waits for.
_SECONDS_TO_SETTLE = 2.0


@dataclass(frozen=True)
class Refusal:
    """A call that was answered with an error: Docker does not always show it to anybody."""

    time: float
    call: str
    message: str


class Plugin:
    """What serves the calls. `failure` is set when the state cannot be read: then every call but
    the announcing ones is answered with it."""

    def __init__(
        self,
        settings: Settings,
        places: Places,
        mounted: MountedFile,
        open_store: Callable[[], Store],
        clock: Clock,
    ) -> None:
        """Open the store; what it holds is read by `load`. What `open_store` raises, as
        PyipamError, becomes the failure."""
        self.settings = settings
        self._clock = clock
        self.refusals: deque[Refusal] = deque(maxlen=REFUSALS_KEPT)
        self.failure: PyipamError | None = None
        self._reading = Unavailable("the plan is being read from its store; try again")
        # Announced before the state was known: these epochs begin before anything else happens.
        self._early: list[tuple[str, str]] = []
        self._becoming_known = threading.Lock()
        self.schema = SchemaInForce("default", ScopeTree())
        remembered = places.state / REMEMBERED_NAME
        self._source = SchemaSource(mounted, remembered, places.default_schema)
        self._said = ""
        self._stopping = threading.Event()
        self._tried_to_load = threading.Event()
        self._store: Store | None = None
        self.ipam: Ipam | None = None
        try:
            self._store = open_store()
            self.failure = self._reading
        except PyipamError as error:
            self._fail(error)

    @property
    def is_shared(self) -> bool:
        """Whether the plan is in a database across a network, which may keep calls waiting."""
        return self._store is not None and self._store.shared

    @property
    def is_being_read(self) -> bool:
        """Whether what is stored is not known yet, and will be in a moment."""
        return self.failure is self._reading

    def problem(self) -> str | None:
        """What is wrong with the state, or its database, as far as is known; None where nothing
        is. Waits for nobody."""
        found = None if self._store is None else self._store.problem()
        if self.failure is None or (self.is_being_read and found is not None):
            return found
        return str(self.failure)

    def start_threads(self) -> None:
        """Begin what goes on beside the calls, until `close`."""
        threading.Thread(target=self._watch, name="schema", daemon=True).start()
        if self._store is not None:
            arguments = [self._store]
            threading.Thread(target=self._keep, args=arguments, name="store", daemon=True).start()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY):
            try:
                self._look()
            except Exception as error:
                log.error("fault", trace="".join(traceback.format_exception(error)))
                self._stopping.wait(_LOOK_AGAIN_AFTER_A_FAULT)

    def _look(self) -> None:
        if self.ipam is None:
            return
        changed = self._source.changed(self.schema)
        if changed is not None:
            self._put_in_force(self.ipam, changed)
        if self.is_shared:
            self._settle(self.ipam)
            self._say(self.problem())

    def _settle(self, ipam: Ipam) -> None:
        try:
            ipam.catch_up(_SECONDS_TO_SETTLE)
        except StoreFailure as error:
            log.debug("what others did is not known", reason=error)

    def _say(self, problem: str | None) -> None:
        """Log what is wrong when it begins, and when it ends; not what each member says anew."""
        said = "" if problem is None else problem.partition(" (")[0]
        if said and said != self._said:
            log.error("the state cannot be used", reason=problem)
        elif self._said and not said:
            log.info("the state can be used again")
        self._said = said

    def _keep(self, store: Store) -> None:
        self.load()
        while not self._stopping.is_set() and self._may_come_back(store):
            self._stopping.wait(_LOAD_AGAIN_AFTER)
            self.load()
        if self.failure is None:
            store.run_background_work(self._stopping)

    def _may_come_back(self, store: Store) -> bool:
        corrupted = isinstance(self.failure, StateCorrupted)
        return self.failure is not None and store.shared and not corrupted

    def load(self) -> None:
        """Read what is stored. Afterwards the calls are served, or `failure` says why not."""
        try:
            if self._store is not None:
                self._load(self._store)
                self.failure = None
                self._tried_to_load.set()
        except PyipamError as error:
            self._fail(error)
        except Exception as error:
            log.error("fault", trace="".join(traceback.format_exception(error)))
            self._fail(Unavailable(f"pyipam has a fault, and could not read its state: {error!r}"))

    def wait_until_tried(self, seconds: float = _SECONDS_TO_LOAD) -> None:
        """Wait until the state was read, or could not be, for so long at most."""
        self._tried_to_load.wait(seconds)

    def announce(self, driver: str, engine: str) -> None:
        """An engine asks what the driver is capable of: see Ipam.begin_epoch. A call of a commit.

        While the state is being read, its epoch is to begin with the first commit. Raises the
        failure where the plan is in a database: dockerd registers a driver that refuses this, and
        asks it for no replays. A plan that is away will be back as it was; a corrupted one may be
        another by the time of its repair.
        """
        if self.is_shared and self.failure is not None:
            raise self.failure
        if self.ipam is None or self.is_being_read:
            self._early.append((driver, engine))
        elif self.failure is None:
            self.ipam.begin_epoch(driver, engine)

    def commit(
        self, calls: Sequence[Callable[[], Result]], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> list[Result]:
        """See Ipam.commit. Where there is no state to commit to, the calls are only made.

        Epochs that were announced while the state was being read begin before anything else.
        """
        if self.ipam is not None and not self._early:
            return self.ipam.commit(calls, within)
        with self._becoming_known:
            if self.ipam is None:
                return [call() for call in calls]
            early = list(self._early)
            begin: list[Callable[[], Any]] = [
                partial(self.ipam.begin_epoch, driver, engine) for driver, engine in early
            ]
            results = self.ipam.commit([*begin, *calls], within)
            del self._early[: len(early)]
            return results[len(early) :]

    def refuse(self, call: str, error: PyipamError) -> None:
        """Keep a refusal for the status, and write it to the log."""
        self.refusals.append(Refusal(time.time(), call, str(error)))
        log.warning("refused", call=call, reason=error)

    def close(self) -> None:
        """Bring the state to rest."""
        self._stopping.set()
        if self.is_being_read and not self.is_shared:
            self.wait_until_tried(_SECONDS_TO_END)
        # What is not read yet rests already, and stays locked as long as somebody reads it.
        if self._store is not None and (self.is_shared or not self.is_being_read):
            self._store.close()

    def _fail(self, error: PyipamError) -> None:
        self.failure = error
        self._tried_to_load.set()
        self._say(str(error))

    def _load(self, store: Store) -> None:
        policy = Policy(self.settings.default_filter, self.settings.allow_unmanaged)
        ipam = Ipam(store, policy, self._clock)
        self.schema = self._source.start()
        with _without_garbage_collection():
            ipam.load(self.schema.tree)
        self._put_in_force(ipam, self.schema)
        with self._becoming_known:
            self.ipam = ipam
        if self._early:
            self._begin_early_epochs()

    def _begin_early_epochs(self) -> None:
        try:
            self.commit(())
        except StoreFailure as error:
            log.warning("an announced epoch could not begin yet", reason=error)

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


def open_store_of(settings: Settings, places: Places, credentials: str) -> Store:
    """The store that the settings name. Raises Unavailable; never stands in another one, which
    would be another plan."""
    if not settings.store_url:
        return open_store(None, "", places.state, settings.layout)
    try:
        check_node_name(settings.node)
        address = store_address(settings.store_url, credentials)
    except (InvalidRequest, ValueError) as error:
        raise Unavailable(
            f"the store cannot be used: {error}; mend that with docker plugin set"
        ) from None
    return open_store(address, settings.node, places.state, settings.layout)


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
