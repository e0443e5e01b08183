"""A store in memory: what tests run on, and the shortest complete example of a store."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import chain

from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Key, LeaseRecord, Put, Record


class MemoryStore:
    """Records in a dictionary, in place of a disk: another store over the same dictionary loads
    what this one has committed. Nothing outlives the process. Each method takes the lock."""

    shared = False

    def __init__(self, records: dict[Key, Record] | None = None) -> None:
        """`records` are those already stored, by key. Each commit changes this dictionary."""
        self.records: dict[Key, Record] = {} if records is None else records
        self._lock = threading.Lock()

    def load(self) -> list[Record]:
        """Every record; each pool before the leases in it."""
        with self._lock:
            return sorted(self.records.values(), key=lambda item: isinstance(item, LeaseRecord))

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Do nothing: a commit takes no time."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Apply the changes. Never fails."""
        with self._lock:
            for change in changes:
                if isinstance(change, Put):
                    self.records[change.record.key] = change.record
                else:
                    self.records.pop(change.key, None)

    def commit_in_parts(
        self, parts: Sequence[Sequence[Change]], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> None:
        """Commit all parts at once."""
        self.commit([*chain.from_iterable(parts)], within)

    def take_remote_changes(self) -> Sequence[Change]:
        """Nothing: there are no other nodes."""
        return ()

    def await_remote_changes(self, within: float) -> bool:
        """False: there are no other nodes."""
        return False

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """Nothing: no nodes share it."""
        return {}

    def pools_in_aggregates(self) -> Mapping[str, int]:
        """Nothing: no nodes share it."""
        return {}

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> Sequence[Record]:
        """Nothing: there are no other nodes."""
        return ()

    def problem(self) -> None:
        """None: nothing can go wrong."""

    def run_background_work(self, stopping: threading.Event) -> None:
        """Wait until the event is set: there is nothing to do."""
        stopping.wait()

    def close(self) -> None:
        """Do nothing: the records stay in the dictionary."""
