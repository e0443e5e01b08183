"""Records as documents of MongoDB, and back.

In the database every local pool and every driver name is stored with the node that it belongs to.
At this boundary the node's own lose it: the core knows them as `local/SUBNET` and `driver`, those
of others as `local@NODE/SUBNET` and `driver@NODE`.

    pools    _id "global/10.0.0.0/24" or "local@nodea/10.0.0.0/24"
    leases   _id SPACE/SUBNET/ADDRESS, so that the deletion of one tells its key; `exclusive`, where
             it is there, is what no two nodes may hold
    drivers  _id "driver@nodea"
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any

from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import (
    Claim,
    DriverKey,
    DriverRecord,
    LeaseKey,
    LeaseKind,
    LeaseRecord,
    PoolRecord,
)

Document = dict[str, Any]

_KINDS: dict[str, LeaseKind] = {
    "gateway": "gateway",
    "container": "container",
    "mirror": "mirror",
}
_PLAIN = "local/"
GLOBAL = "global/"


class Names:
    """What one node calls things, and how they are stored."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.own_pools = f"local@{node}/"

    @property
    def leases_of_others(self) -> Document:
        """The filter of the leases in local pools of other nodes."""
        own = re.compile(f"^{re.escape(self.own_pools)}")
        return {"_id": {"$regex": "^local@", "$not": own}}

    def stored_id(self, known: str) -> str:
        """The stored name of a pool or a subnet."""
        return self.own_pools + known[len(_PLAIN) :] if known.startswith(_PLAIN) else known

    def known_id(self, stored: str) -> str:
        """The reverse."""
        if not stored.startswith(self.own_pools):
            return stored
        return _PLAIN + stored[len(self.own_pools) :]

    def driver_and_node(self, known: str) -> tuple[str, str]:
        """A driver name as it is on its node, and the node."""
        driver, _, node = known.partition("@")
        return driver, node or self.node

    def known_driver(self, driver: str, node: str) -> str:
        """The reverse."""
        return intern(driver if node == self.node else f"{driver}@{node}")

    # Keys

    def lease_id(self, key: LeaseKey) -> str:
        return f"{self.stored_id(key.subnet)}/{key.address}"

    def lease_key(self, lease_id: str) -> LeaseKey:
        subnet, _, address = lease_id.rpartition("/")
        return LeaseKey(self.known_id(subnet), address)

    def driver_id(self, key: DriverKey) -> str:
        return "@".join(self.driver_and_node(key.name))

    # Documents

    def lease_document(self, record: LeaseRecord) -> Document:
        pool = self.stored_id(record.pool)
        driver, node = self.driver_and_node(record.driver)
        document = {
            "_id": f"{subnet_id_of(pool)}/{record.address}",
            "pool": pool,
            "kind": record.kind,
            "driver": driver,
            "node": node,
            "epoch": record.epoch,
            "granted": record.granted,
            "released": record.released,
        }
        if pool.startswith(GLOBAL):
            document["exclusive"] = GLOBAL + record.address
        elif record.kind == "container":
            document["exclusive"] = _PLAIN + record.address
        return document

    def lease(self, document: Document) -> LeaseRecord:
        """Raises KeyError, TypeError or AttributeError when it is no document of a lease."""
        return LeaseRecord(
            intern(self.known_id(document["pool"])),
            document["_id"].rpartition("/")[2],
            _KINDS[document["kind"]],
            self.known_driver(document["driver"], document["node"]),
            document["epoch"],
            document["granted"],
            document["released"],
        )

    def pool_document(self, record: PoolRecord) -> Document:
        return {
            "_id": self.stored_id(record.id),
            "scope": record.scope,
            "label": record.label,
            "tags": record.tags,
            "claims": self.claim_documents(record.claims),
            "created": record.created,
            "released": record.released,
        }

    def claim_documents(self, claims: tuple[Claim, ...]) -> list[Document]:
        return [
            {"driver": driver, "node": node, "epoch": epoch, "references": references}
            for (name, epoch, references) in claims
            for driver, node in [self.driver_and_node(name)]
        ]

    def pool(self, document: Document) -> PoolRecord:
        """Raises KeyError, TypeError or AttributeError when it is no document of a pool."""
        return PoolRecord(
            intern(self.known_id(document["_id"])),
            document["scope"],
            document["label"],
            document["tags"],
            tuple(
                Claim(
                    self.known_driver(claim["driver"], claim["node"]),
                    claim["epoch"],
                    claim["references"],
                )
                for claim in document["claims"]
            ),
            document["created"],
            document["released"],
        )

    def driver_document(self, record: DriverRecord) -> Document:
        driver, node = self.driver_and_node(record.name)
        return {
            "_id": f"{driver}@{node}",
            "driver": driver,
            "node": node,
            "engine": record.engine,
            "local_epoch": record.local_epoch,
            "global_epoch": record.global_epoch,
        }

    def driver(self, document: Document) -> DriverRecord:
        """Raises KeyError or TypeError when it is no document of a driver name."""
        return DriverRecord(
            self.known_driver(document["driver"], document["node"]),
            document["engine"],
            document["local_epoch"],
            document["global_epoch"],
        )
