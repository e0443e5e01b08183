"""Records as documents of the shared database. Nodes of two versions of pyipam may share it, so the
documents are compared member by member."""

from __future__ import annotations

from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.records import Claim, Sharer
from tests.support.stored_records import (
    DRIVER,
    GLOBAL_POOL,
    LEASE,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
    replace,
)

OWN, OTHER = RecordCodec("nodea"), RecordCodec("nodeb")


def test_a_pool_is_stored_with_the_node_in_its_id_and_in_its_claims() -> None:
    document = OWN.encode_pool(RANGE_POOL)

    assert document == {
        "_id": "local@nodea/100.64.5.0/24/100.64.5.64/26",
        "scope": "100.64.0.0/20",
        "label": "testnet",
        "tags": "null_routed",
        "claims": [{"driver": "driver", "node": "nodea", "epoch": 1, "references": 1}],
        "created": 1600000000.123456,
        "released": None,
    }
    assert OWN.decode_pool(document) == RANGE_POOL
    assert OTHER.decode_pool(document) == replace(
        RANGE_POOL,
        id="local@nodea/100.64.5.0/24/100.64.5.64/26",
        claims=(Claim("driver@nodea", 1, 1),),
    )


def test_a_lease_in_a_pool_with_an_ip_range_is_stored_under_the_id_of_the_subnet() -> None:
    document = OWN.encode_lease(RANGE_LEASE)

    assert document == {
        "_id": "local@nodea/100.64.5.0/24/100.64.5.64",
        "pool": "local@nodea/100.64.5.0/24/100.64.5.64/26",
        "kind": "gateway",
        "driver": "driver",
        "node": "nodea",
        "epoch": 1,
        "granted": 5.0,
        "released": None,
    }
    assert OWN.decode_lease(document) == RANGE_LEASE
    assert OWN.decode_lease_key(document["_id"]) == RANGE_LEASE.key
    assert OWN.encode_lease_key(RANGE_LEASE.key) == document["_id"]


def test_containers_and_everything_in_the_global_space_are_exclusive_and_nothing_else_is() -> None:
    mirror, gateway = replace(LEASE, kind="mirror"), replace(LEASE, kind="gateway")

    assert OWN.encode_lease(LEASE)["exclusive"] == "local/100.64.0.2"
    assert "exclusive" not in OWN.encode_lease(mirror)
    assert "exclusive" not in OWN.encode_lease(gateway)
    in_global_space = OWN.encode_lease(replace(gateway, pool=GLOBAL_POOL.id))
    assert in_global_space["exclusive"] == "global/100.64.0.2"


def test_a_driver_name_is_stored_with_its_node() -> None:
    document = OWN.encode_driver(DRIVER)

    assert document == {
        "_id": "driver@nodea",
        "driver": "driver",
        "node": "nodea",
        "engine": "boot:4711",
        "local_epoch": 3,
        "global_epoch": 4,
    }
    assert OWN.decode_driver(document) == DRIVER
    assert OTHER.decode_driver(document) == replace(DRIVER, name="driver@nodea")


def test_a_record_of_another_node_is_stored_as_that_node_stores_it() -> None:
    document = OWN.encode_lease(LEASE)

    assert OTHER.encode_lease(OTHER.decode_lease(document)) == document
    assert OTHER.is_own_driver(OTHER.decode_lease(document).driver) is False
    assert OWN.is_own_driver(OWN.decode_lease(document).driver) is True


def test_what_is_released_in_a_local_pool_is_not_exclusive() -> None:
    resting = replace(LEASE, released=5.0)
    held_back = replace(resting, named=True)

    assert "exclusive" not in OWN.encode_lease(resting)
    assert "exclusive" not in OWN.encode_lease(held_back)
    assert "exclusive" in OWN.encode_lease(replace(LEASE, named=True))


def test_a_document_without_the_member_named_is_read_as_before() -> None:
    held_back = replace(LEASE, released=5.0, named=True)
    document = OWN.encode_lease(held_back)
    assert OWN.decode_lease(document) == held_back

    del document["named"]

    assert OWN.decode_lease(document) == replace(held_back, named=False)


def test_a_document_from_before_pools_followed_a_swarm_is_read_as_of_one_that_does_not() -> None:
    pool = replace(POOL, follows_swarm=True)
    document = OWN.encode_pool(pool)
    assert OWN.decode_pool(document) == pool

    del document["follows_swarm"]

    assert OWN.decode_pool(document) == POOL


def test_documents_from_before_networks_shared_a_subnet_are_read_as_shared_by_none() -> None:
    pool = replace(POOL, shared=True)
    gateway = replace(LEASE, kind="gateway", sharers=(Sharer(POOL.id, "pyipam", 2),))
    documents = OWN.encode_pool(pool), OWN.encode_lease(gateway)
    assert (OWN.decode_pool(documents[0]), OWN.decode_lease(documents[1])) == (pool, gateway)

    del documents[0]["shared"], documents[1]["sharers"]

    assert OWN.decode_pool(documents[0]) == replace(pool, shared=False)
    assert OWN.decode_lease(documents[1]) == replace(gateway, sharers=())
