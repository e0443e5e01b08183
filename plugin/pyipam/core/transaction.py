"""Memory and store in step: the calls that come together are one commit.

A decision takes effect in memory at once, and becomes durable at the end of the commit. If that
fails, everything that memory holds is taken back to what it was before. See "The way of a call" in
docs/architecture.md.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, TypeVar

from pyipam import log
from pyipam.core.announcements import Announcements
from pyipam.core.decision import Answer, Decision
from pyipam.core.giving_back import without_node_prefix
from pyipam.core.sharing import Sharing
from pyipam.core.state import State
from pyipam.core.subnet import Before
from pyipam.errors import StoreFailure
from pyipam.log import Line
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.protocol import Store
from pyipam.store.records import Change

Result = TypeVar("Result")

# Other nodes would have to be faster every time.
_MAX_ATTEMPTS = 200
_FIRST_PAUSE_SECONDS = 0.001
_MAX_PAUSE_SECONDS = 0.05
# How long a refusal waits for what other nodes did.
_LOOK_AGAIN_SECONDS = 1.0


class Commit(NamedTuple):
    """What a commit changed, at that time (UNIX, in seconds): the changes, and what was under the
    key of each before. What was heard before it of what others said of nodes is one, too."""

    time: float
    changes: Sequence[Change]
    before: Sequence[Before]


# Is told of each commit, once it is durable, and before its calls are answered: it only takes note.
Note = Callable[[Commit], None]


@dataclass(slots=True)
class _Pending:
    """What the present commit has changed: the changes, what was under the key of each before,
    what was known about the engines before, and the lines to be logged afterwards."""

    announcements: Announcements
    changes: list[Change] = field(default_factory=list)
    before: list[Before] = field(default_factory=list)
    events: list[Line] = field(default_factory=list)


class Transaction:
    """One commit at a time, over one state and one store.

    `commit` takes the turn and then the lock of the state. `apply`, `reread_global_space` and
    `look_again` are for the calls of a commit, in its thread: they need both. A commit that waits
    for a store across a network releases the lock meanwhile, and the state is then what is stored.
    """

    def __init__(self, state: State, store: Store, note: Note) -> None:
        self._state = state
        self._store = store
        self._note = note
        self._sharing = Sharing(state)
        self._turn = threading.Lock()
        self._pending = _Pending(state.announcements)
        self._deadline = 0.0
        self._in_last_call = False
        self._has_looked_again = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Inside, no commit is under way, and the lock of the state is held."""
        with self._turn, self._state.lock:
            yield

    def commit(self, calls: Sequence[Callable[[], Result]], within: float) -> list[Result]:
        """Make the calls; their results, once all that they changed is durable.

        `within` is how many seconds that may take. Where other nodes stand in the way, what they
        did is learned, and all calls are made again. An error that a call raises ends the commit,
        as StoreFailure does, and then nothing of the commit has happened. A call that is refused
        has changed nothing: who wants the other calls to count handles its error inside it.
        """
        deadline = self._state.clock.monotonic() + within
        if not self._turn.acquire(timeout=max(within, 0.0)):
            raise StoreFailure(
                "the calls before this one are waiting for the store; nothing has been done. Try "
                "again when it answers"
            )
        try:
            self._deadline = deadline
            self._state.contested.clear()
            self._has_looked_again = False
            return self._commit_until_deadline(calls)
        finally:
            self._turn.release()

    def apply(self, decision: Decision[Answer]) -> Answer:
        """Let a decision take effect as part of the present commit; its answer, to be given once
        the commit has succeeded. The store may begin to write with the last decision."""
        assert self._turn.locked(), "calls are made inside a commit"
        if decision.changes:
            if self._in_last_call:
                self._store.prewrite([*self._pending.changes, *decision.changes])
            self._change(decision.changes)
        self._pending.events.extend(decision.events)
        if decision.announcements is not None:
            self._state.announcements = decision.announcements
        return decision.answer

    def reread_global_space(self) -> None:
        """Know the global space as other nodes have left it. Raises Unavailable, or Conflict where
        other nodes have ended what this commit has decided upon."""
        if not self._store.shared:
            return
        pending = self._pending
        try:
            with self._unlocked():
                self._store_repairs()
                records = list(self._store.load_global_space(self._seconds_left()))
        except Conflict as conflict:
            self._undo()
            self._sharing.learn_from(conflict)
            raise
        if self._sharing.ends_pool_decided_upon(records, pending.changes):
            self._undo()
            self._sharing.learn_global_space(records, ())
            raise Conflict(
                "other nodes removed networks at the same moment; nothing has been done. Try again",
                (),
            )
        self._sharing.learn_global_space(records, pending.changes)

    def look_again(self) -> None:
        """Before a call is refused: learn what other nodes did until now, once in a commit. Raises
        Conflict if they did anything, and all calls are made again."""
        if self._has_looked_again or not self._store.shared:
            return
        self._has_looked_again = True
        with self._unlocked():
            within = min(self._seconds_left(), _LOOK_AGAIN_SECONDS)
            has_news = self._store.await_remote_changes(within)
        if has_news:
            raise Conflict(
                "other nodes changed the plan at the same moment; nothing has been done. Try again",
                (),
            )

    # One commit. Needs the turn.

    def _commit_until_deadline(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        for attempt in count():
            try:
                with self._state.lock:
                    return self._commit_once(calls)
            except Conflict:
                if attempt == _MAX_ATTEMPTS or self._seconds_left() <= 0.0:
                    raise
                longest = min(_FIRST_PAUSE_SECONDS * 2**attempt, _MAX_PAUSE_SECONDS)
                self._state.clock.sleep(random.uniform(0.0, longest))
        raise AssertionError("the loop ends by itself")

    def _commit_once(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        self._learn_news()
        self._pending = _Pending(self._state.announcements)
        self._state.under_way = self._pending.changes
        self._in_last_call = False
        try:
            self._change(self._state.rested())
            self.apply(without_node_prefix(self._state))
            results = self._make(calls)
        except BaseException:
            self._undo()
            raise
        finally:
            self._state.under_way = ()
        self._make_durable()
        pending = self._pending
        if pending.changes:
            self._note(Commit(self._state.clock.wall(), pending.changes, pending.before))
        for event in self._pending.events:
            log.write(event)
        return results

    def _make(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        results = []
        last = len(calls) - 1
        for position, call in enumerate(calls):
            self._in_last_call = position == last
            results.append(call())
        return results

    def _change(self, changes: Sequence[Change]) -> None:
        pending = self._pending
        for change in changes:
            pending.before.append(self._state.apply(change))
            pending.changes.append(change)

    def _undo(self) -> None:
        """Take everything back that the present commit has changed."""
        pending = self._pending
        self._pending = _Pending(pending.announcements)
        self._state.undo(pending.changes, pending.before)
        self._state.announcements = pending.announcements

    # Making it durable. Needs the turn and the lock.

    def _make_durable(self) -> None:
        if self._store.shared:
            self._make_durable_for_all()
        elif self._pending.changes:
            try:
                self._store.commit(self._pending.changes, self._seconds_left())
            except BaseException:
                self._undo()
                raise

    def _make_durable_for_all(self) -> None:
        changes = [*self._sharing.repairs(), *self._pending.changes]
        if not changes:
            return
        try:
            with self._unlocked():
                self._store.commit(changes, self._seconds_left())
        except BaseException as error:
            pending = self._pending
            self._undo()
            if isinstance(error, Conflict):
                self._sharing.learn_from(error, pending.changes)
            elif isinstance(error, Uncertain):
                self._sharing.plan_repairs(pending.changes, pending.before)
            raise
        self._sharing.mark_repaired()

    @contextmanager
    def _unlocked(self) -> Iterator[None]:
        """Inside, the lock is released and others see what is stored, without what is pending."""
        pending = self._pending
        self._state.undo(pending.changes, pending.before)
        self._state.lock.release()
        try:
            yield
        finally:
            self._state.lock.acquire()
            for change in pending.changes:
                self._state.apply(change)

    # Sharing the plan with other nodes. Needs the turn and the lock.

    def _learn_news(self) -> None:
        if self._store.shared:
            self._sharing.learn(self._store.take_remote_changes())
            heard = self._sharing.take_heard()
            if heard:
                changes, before = zip(*heard, strict=True)
                self._note(Commit(self._state.clock.wall(), changes, before))

    def _store_repairs(self) -> None:
        repairs = self._sharing.repairs()
        if repairs:
            self._store.commit(repairs, self._seconds_left())
            self._sharing.mark_repaired()

    def _seconds_left(self) -> float:
        return self._deadline - self._state.clock.monotonic()
