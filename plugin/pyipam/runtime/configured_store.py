"""The store that the settings name."""

from __future__ import annotations

from pyipam.errors import InvalidRequest, Unavailable
from pyipam.settings import Places, Settings, check_node_name
from pyipam.store.mongodb.address import store_address
from pyipam.store.opening import open_store
from pyipam.store.protocol import Store


def open_configured_store(settings: Settings, places: Places, credentials: str) -> Store:
    """Open the store that the settings name. `credentials` is the text of the credentials file.

    Raises Unavailable. It never falls back to another store, which would hold another plan.
    """
    if not settings.store_url:
        return open_store(None, "", places.state, settings.layout)
    try:
        check_node_name(settings.node)
        address = store_address(settings.store_url, credentials)
    except (InvalidRequest, ValueError) as error:
        raise Unavailable(
            f"the store cannot be used: {error}; fix that with docker plugin set"
        ) from None
    return open_store(address, settings.node, places.state, settings.layout)
