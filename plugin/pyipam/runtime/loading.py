"""The store opened, and the plan loaded from it, beside the calls."""

from __future__ import annotations

import gc
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyipam import log
from pyipam.errors import PyipamError, StateCorrupted, Unavailable
from pyipam.runtime.problem_log import ProblemLog
from pyipam.store.protocol import Store

# dockerd waits 30 seconds for an answer.
LOADING_TIMEOUT_SECONDS = 25.0
_CLOSING_TIMEOUT_SECONDS = 5.0
_RETRY_INTERVAL_SECONDS = 1.0


class Loading:
    """Where the loading of the plan stands.

    `failure` says why the plan cannot be served: it is still being loaded, or could not be. It is
    None from the moment that the plan is loaded.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        load_from: Callable[[Store], None],
        problem_log: ProblemLog,
    ) -> None:
        """Open the store. `load_from` loads the plan from it, when `load` is called. What either
        raises as PyipamError becomes the failure."""
        self._load_from = load_from
        self._problem_log = problem_log
        self._in_progress = Unavailable("the plan is being read from its store; try again")
        self._tried = threading.Event()
        self._store: Store | None = None
        self.failure: PyipamError | None = self._in_progress
        try:
            self._store = open_store()
        except PyipamError as error:
            self._fail(error)

    @property
    def is_in_progress(self) -> bool:
        """Whether the plan is not loaded yet, and has not failed to be."""
        return self.failure is self._in_progress

    @property
    def from_shared_store(self) -> bool:
        """Whether the plan comes from a database across a network."""
        return self._store is not None and self._store.shared

    def problem(self) -> str | None:
        """What is wrong with the state or its database, as far as is known; None if nothing is.
        Does no I/O."""
        found = None if self._store is None else self._store.problem()
        if self.failure is None or (self.is_in_progress and found is not None):
            return found
        return str(self.failure)

    def load(self) -> None:
        """Load the plan. Afterwards it is served, or `failure` says why not."""
        if self._store is None:
            return
        try:
            with _without_garbage_collection():
                self._load_from(self._store)
            self.failure = None
            self._tried.set()
        except PyipamError as error:
            self._fail(error)
        except Exception as error:
            log.error("internal error", trace="".join(traceback.format_exception(error)))
            self._fail(
                Unavailable(
                    f"an internal error of pyipam kept it from reading its state: {error!r}"
                )
            )

    def run(self, stopping: threading.Event) -> None:
        """Load the plan, again and again while its database is away, and then do the store's
        background work, until the event is set. Blocks."""
        if self._store is None:
            return
        self.load()
        while self._may_recover(self._store) and not stopping.wait(_RETRY_INTERVAL_SECONDS):
            self.load()
        if self.failure is None:
            self._store.run_background_work(stopping)

    def wait_until_tried(self, seconds: float = LOADING_TIMEOUT_SECONDS) -> None:
        """Wait until the plan is loaded or could not be, for at most this many seconds."""
        self._tried.wait(seconds)

    def close(self) -> None:
        """Bring the store to rest."""
        if self.is_in_progress and not self.from_shared_store:
            self.wait_until_tried(_CLOSING_TIMEOUT_SECONDS)
        # Files that are still being read have not been written to, and stay locked meanwhile.
        if self._store is not None and (self.from_shared_store or not self.is_in_progress):
            self._store.close()

    def _may_recover(self, store: Store) -> bool:
        corrupted = isinstance(self.failure, StateCorrupted)
        return self.failure is not None and store.shared and not corrupted

    def _fail(self, error: PyipamError) -> None:
        self.failure = error
        self._tried.set()
        self._problem_log.report(str(error))


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
