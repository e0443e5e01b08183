"""Which store it is: the files of one host, or the database that several hosts share."""

from __future__ import annotations

from pathlib import Path

from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.protocol import Store
from pyipam.store.tinydb.contents import Layout
from pyipam.store.tinydb.store import TinyDbStore


def open_store(address: StoreAddress | None, node: str, folder: Path, layout: Layout) -> Store:
    """The store at the address, as the node sees it; without one, that in the folder.

    Raises Unavailable where it cannot be opened at all. A database that is away can be: it says so
    when it is asked for something.
    """
    if address is None:
        return TinyDbStore(folder, layout)
    # A driver that most hosts never need is not loaded there.
    from pyipam.store.mongodb.store import MongoDbStore

    return MongoDbStore(address, node, folder)
