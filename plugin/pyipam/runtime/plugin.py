"""A running plugin: its parts put together, and the threads that keep them up to date."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from pyipam import log
from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.selection import Policy
from pyipam.core.transaction import Commit
from pyipam.driver_names import MAIN_DRIVER
from pyipam.errors import PyipamError, StoreFailure
from pyipam.history.names import NAMES_NAME
from pyipam.history.segments import HISTORY_NAME
from pyipam.host.route import HostRoutes, NoRoutes
from pyipam.plan.schema_source import REMEMBERED_NAME, MountedFile, SchemaInForce, SchemaSource
from pyipam.runtime.calls import Calls
from pyipam.runtime.commits import Commits
from pyipam.runtime.dropped_aliases import about_dropped_aliases, drivers_of
from pyipam.runtime.history import History
from pyipam.runtime.ignored_options import IgnoredOptions
from pyipam.runtime.loading import LOADING_TIMEOUT_SECONDS, Loading
from pyipam.runtime.meters import COUNTED_CALLS, CallMeter
from pyipam.runtime.problem_log import ProblemLog
from pyipam.runtime.refusals import Refusals
from pyipam.runtime.route_news import RouteNews
from pyipam.runtime.schema_watch import SchemaWatch
from pyipam.runtime.status_listener import StatusListener
from pyipam.settings import Places, Settings
from pyipam.store.pool_id import is_driver_of_other_node
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS, Store

Result = TypeVar("Result")

_WATCH_INTERVAL_SECONDS = 0.5
_PAUSE_AFTER_FAULT_SECONDS = 60.0
# Short, as calls have to wait until a catch-up is over.
_CATCH_UP_TIMEOUT_SECONDS = 2.0


class Plugin:
    """What serves the calls. Any thread may call it."""

    def __init__(
        self,
        settings: Settings,
        places: Places,
        mounted: MountedFile,
        open_store: Callable[[], Store],
        clock: Clock,
        routes: HostRoutes | None = None,
    ) -> None:
        """Open the store; the plan in it is loaded by `load`, or by a thread (`start_threads`).

        If `open_store` raises PyipamError, calls are refused with it. Without `routes`, none of
        the host's are known.
        """
        self.settings = settings
        self.refusals = Refusals(clock)
        self.ignored_options = IgnoredOptions(clock)
        self.routes = routes or NoRoutes()
        self.calls = Calls()
        self.route_news = RouteNews()
        self.status_listener = StatusListener(settings.status_address)
        self.names = places.state / NAMES_NAME
        self.history = History(places.state / HISTORY_NAME, clock, self.calls.let_pass)
        self.meters = {call: CallMeter() for call in COUNTED_CALLS}
        self.started = clock.wall()
        self._clock = clock
        remembered = places.state / REMEMBERED_NAME
        source = SchemaSource(mounted, remembered, places.default_schema)
        self._schema_watch = SchemaWatch(source, settings, self.calls.let_pass)
        self._commits = Commits()
        self._problem_log = ProblemLog()
        self._loading = Loading(open_store, self._load_from, self._problem_log)
        self._stopping = threading.Event()

    # What the calls and the views are answered from

    @property
    def ipam(self) -> Ipam:
        """The core, once the plan is loaded. Before that, raises the reason why it is not."""
        if self._loading.failure is not None:
            raise self._loading.failure
        assert self._commits.ipam is not None
        return self._commits.ipam

    @property
    def schema(self) -> SchemaInForce:
        """The schema in force."""
        return self._schema_watch.in_force

    @property
    def is_loading(self) -> bool:
        """Whether the plan is not loaded yet, and has not failed to be."""
        return self._loading.is_in_progress

    @property
    def has_shared_plan(self) -> bool:
        """Whether the plan is in a database across a network, which may keep calls waiting."""
        return self._loading.from_shared_store

    @property
    def problem(self) -> str | None:
        """What is wrong with the state or its database, as far as is known; None if nothing is."""
        return self._loading.problem()

    @property
    def new_pools_refused(self) -> bool:
        """Whether no network can be given a pool, because of a setting, the schema or the state."""
        return self._schema_watch.new_pools_refused or self.problem is not None

    def about_dropped_aliases(self, ipam: Ipam, holding: Collection[str]) -> list[str]:
        """A sentence for each of the driver names that hold something and are no longer set."""
        names = {MAIN_DRIVER, *(alias.name for alias in self.settings.aliases)}
        dropped = {name for name in holding if not is_driver_of_other_node(name)} - names
        return about_dropped_aliases(ipam, dropped) if dropped else []

    def load(self) -> None:
        """Load the plan. Afterwards calls are served, or refused with the reason why not."""
        self._loading.load()

    def wait_until_loaded(self, seconds: float = LOADING_TIMEOUT_SECONDS) -> None:
        """Wait until the plan is loaded or could not be, for at most this many seconds."""
        self._loading.wait_until_tried(seconds)

    # The calls of Docker

    def announce(self, driver: str, engine: str) -> None:
        """An engine asks what the driver is capable of: see Ipam.begin_epoch. To be called in a
        call of `commit`.

        Raises the failure where a shared plan cannot be served. dockerd then registers the driver
        and replays nothing to it, which is right for a database that is away: it will come back
        with the same plan. Corrupted files may hold another plan once they are repaired.
        """
        if self.has_shared_plan and self._loading.failure is not None:
            raise self._loading.failure
        self._commits.announce(driver, engine)

    def commit(
        self, calls: Sequence[Callable[[], Result]], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> list[Result]:
        """Make the calls as one commit, within this many seconds: see Ipam.commit. Before the plan
        is loaded, only make them."""
        return self._commits.commit(calls, within)

    def look_ahead(self) -> None:
        """Do what the next call would have to, while none has come."""
        if self._commits.ipam is not None:
            self._commits.ipam.look_ahead()

    def note_refusal(self, call: str, error: PyipamError) -> None:
        """Log that a call was refused, and keep it for the status."""
        self.refusals.add(call, error)

    # The threads

    def start_threads(self) -> None:
        """Load the plan, and keep it and the schema up to date, in threads that end with
        `close`."""
        threading.Thread(target=self._watch, name="schema", daemon=True).start()
        threading.Thread(
            target=self.history.run, args=(self._stopping,), name="history", daemon=True
        ).start()
        threading.Thread(
            target=self._loading.run, args=(self._stopping,), name="store", daemon=True
        ).start()

    def close(self) -> None:
        """Bring the state to rest."""
        self._stopping.set()
        self._loading.close()
        self.history.write()
        self.routes.close()

    def _load_from(self, store: Store) -> None:
        policy = Policy(self.settings.default_filter, self.settings.allow_unmanaged)
        node = self.settings.node
        ipam = Ipam(store, policy, self._clock, self.routes, self._note, node)
        ipam.load(self._schema_watch.start())
        self._schema_watch.take_effect(ipam)
        for message in self.about_dropped_aliases(ipam, drivers_of(ipam)):
            log.warning("the operator must act", reason=message)
        self._commits.use(ipam)
        self.route_news.tell()

    def _note(self, commit: Commit) -> None:
        self.history.note(commit)
        self.route_news.note(commit.changes)

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_INTERVAL_SECONDS):
            try:
                self._update()
            except Exception as error:
                log.error("internal error", trace="".join(traceback.format_exception(error)))
                self._stopping.wait(_PAUSE_AFTER_FAULT_SECONDS)

    def _update(self) -> None:
        """Learn what has changed in the schema's file, in the routes of the host and, by other
        nodes, in a shared plan."""
        self.routes.keep_up()
        ipam = self._commits.ipam
        if ipam is None:
            return
        self._schema_watch.check(ipam)
        if self.has_shared_plan:
            _catch_up(ipam)
            self._problem_log.report_if_it_lasts(self.problem)
        self.route_news.look(ipam)


def _catch_up(ipam: Ipam) -> None:
    try:
        ipam.catch_up(_CATCH_UP_TIMEOUT_SECONDS)
    except StoreFailure as error:
        log.debug("the changes of other nodes could not be read", reason=error)
