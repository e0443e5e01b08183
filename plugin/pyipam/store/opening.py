"""Opening the store that the settings name."""

from __future__ import annotations

from pathlib import Path

from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.protocol import Store
from pyipam.store.tinydb.layout import Layout
from pyipam.store.tinydb.store import TinyDbStore


def open_store(address: StoreAddress | None, node: str, folder: Path, layout: Layout) -> Store:
    """The database at `address`, as the node called `node` sees it; without an address, the TinyDB
    files in `folder`, in the given layout.

    Raises Unavailable if the store cannot be opened. A database that does not answer can be opened:
    the first call then fails.
    """
    if address is None:
        return TinyDbStore(folder, layout)
    # Most hosts never need pymongo, which takes time and memory to import.
    from pyipam.store.mongodb.store import MongoDbStore

    return MongoDbStore(address, node, folder)
