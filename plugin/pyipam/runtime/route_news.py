"""News for whoever waits for other routes: what is to be announced may have changed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pyipam.core.ipam import Ipam
from pyipam.store.records import AggregateKey, Change, NodeKey, PoolKey, key_of


class RouteNews:
    """Counts the news. Any thread may tell some, and wait for some."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0
        self._known: tuple[object, ...] = ()

    @property
    def count(self) -> int:
        """How much news there has been: to be asked for before the routes are looked at."""
        return self._count

    def tell(self) -> None:
        """Wake those that wait."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_for_more(self, count: int, seconds: float) -> None:
        """Wait until there has been more news than this, for at most that many seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != count, max(seconds, 0.0))

    def note(self, changes: Sequence[Change]) -> None:
        """Take note of what a commit of this node has changed."""
        if any(isinstance(key_of(change), PoolKey | AggregateKey | NodeKey) for change in changes):
            self.tell()

    def look(self, ipam: Ipam) -> None:
        """Take note of another schema, and of what other nodes have changed. To be called now and
        then, by one thread."""
        with ipam.reading() as state:
            versions = (state.elsewhere.subnets_version, state.aggregates.version)
            known = (state.placement.tree, *versions, dict(state.marks))
        if known != self._known:
            self._known = known
            self.tell()
