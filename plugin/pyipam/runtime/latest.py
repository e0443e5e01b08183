"""What happened lately, for the status: so many things at most."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from threading import Lock
from typing import Generic, TypeVar

MOST_KEPT = 100
Item = TypeVar("Item")


class Latest(Generic[Item]):
    """The latest items, each key once, oldest first. Any thread may add to them and read them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._items: dict[Hashable, Item] = {}

    def __iter__(self) -> Iterator[Item]:
        # A copy, as another thread may add one meanwhile.
        with self._lock:
            return iter([*self._items.values()])

    def keep(self, key: Hashable, item: Item) -> None:
        """Add an item, in place of an earlier one of this key."""
        with self._lock:
            self._items.pop(key, None)
            self._items[key] = item
            if len(self._items) > MOST_KEPT:
                del self._items[next(iter(self._items))]
