"""The connection to a replica set.

Writes are acknowledged by a majority of the members once they are in their journals; reads are of
the primary, and return what a majority has.
"""

from __future__ import annotations

import os
import random
import time
import warnings
from pathlib import Path
from typing import Any

from pymongo import MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from pyipam.errors import Unavailable
from pyipam.store.mongodb.address import StoreAddress, client_options
from pyipam.store.mongodb.documents import StoredDocument
from pyipam.store.mongodb.messages import text_of

MAJORITY = WriteConcern("majority", j=True)

# A member that hangs is given up after the two times together, and operations that wait for it
# are interrupted.
_DEFAULT_OPTIONS = {"connectTimeoutMS": 3000, "heartbeatFrequencyMS": 2000, "maxPoolSize": 8}

_MIN_PAUSE_SECONDS = 0.001
_MAX_PAUSE_SECONDS = 0.02


def open_database(address: StoreAddress, folder: Path) -> Database[StoredDocument]:
    """The database at the address. Connects in the background. Certificates are kept in the folder.

    Raises Unavailable if the address cannot be used, whatever is there.
    """
    # The client limits every wait but that for the resolver, which resolv.conf(5) does: by default
    # five seconds and two attempts for each name server.
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")
    try:
        options: dict[str, Any] = dict(client_options(address, folder))
        options |= {
            name: value for name, value in _DEFAULT_OPTIONS.items() if not _has(address, name)
        }
        client = _make_client(address, options)
    except (ConfigurationError, InvalidURI, ValueError, TypeError, UserWarning) as error:
        raise Unavailable(
            f"the store {address} cannot be used: {text_of(error, address)}"
        ) from None
    except OSError as error:
        raise Unavailable(
            f"the store {address} cannot be used: {error.strerror or error}"
        ) from error
    return client.get_database(
        address.database,
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=MAJORITY,
    )


def _make_client(address: StoreAddress, options: dict[str, Any]) -> MongoClient[StoredDocument]:
    with warnings.catch_warnings():
        # The client only warns of an option that it does not know, and ignores it; it may be one
        # that was meant to protect the connection.
        warnings.simplefilter("error", UserWarning)
        return MongoClient(address.url, appname="pyipam", **options)


def _has(address: StoreAddress, option: str) -> bool:
    return f"{option}=".lower() in address.url.lower()


def pause() -> None:
    """Wait for a moment, so that a transaction that is in the way can finish."""
    time.sleep(random.uniform(_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS))
