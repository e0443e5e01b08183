"""What a deployment must be to store a plan, how its database is prepared, and who may use it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pymongo.errors import WriteError

from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.store.mongodb import deployment
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.deployment import DATABASE_FORMAT
from pyipam.store.mongodb.error_codes import DOCUMENT_VALIDATION_FAILURE
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.mongodb.versions import VERSION_IDS
from tests.mongodb.guarded import GuardedServer
from tests.mongodb.nodes import OTHER_POOL, SharedPlan
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import Document, Member, ReplicaSet, loopback_places
from tests.support.stored_records import LEASE, POOL, puts


def refusal_of(address: StoreAddress, folder: Path) -> str:
    """Why the database at the address is refused."""
    with pytest.raises(Unavailable) as refused:
        list(MongoDbStore(address, "nodea", folder).load())
    return str(refused.value)


# What a deployment must be


def test_a_single_server_is_refused(tmp_path: Path) -> None:
    (place,) = loopback_places(1)
    server = Member(ensure_mongod(), tmp_path / "0", place)
    try:
        server.start()
        server.wait_until_it_answers()

        assert refusal_of(StoreAddress(f"mongodb://{place}/"), tmp_path) == (
            f"the store mongodb://{place}/pyipam cannot be used: it is a single server, where a "
            "crash loses what was given out; pyipam needs a replica set of three members"
        )
    finally:
        server.kill()


def test_a_replica_set_in_which_most_members_store_no_data_is_refused(tmp_path: Path) -> None:
    arbiters = ReplicaSet(ensure_mongod(), tmp_path, loopback_places(), arbiters=2)
    try:
        arbiters.start()

        assert "only 1 of its 3 members store data, so no write ever reaches a majority" in (
            refusal_of(StoreAddress(arbiters.url), tmp_path)
        )
    finally:
        arbiters.close()


@pytest.mark.parametrize("option", ["tls=maybe", "tsl=true", "tlsCAFile=/no/such.pem&tls=true"])
def test_an_invalid_option_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(Unavailable, match="the store mongodb://a/pyipam cannot be used: "):
        MongoDbStore(StoreAddress(f"mongodb://a/?{option}"), "nodea", tmp_path)


# How its database is prepared


def test_many_nodes_can_prepare_an_empty_database_at_once(plan: SharedPlan) -> None:
    stores = [plan.open(f"node{number}") for number in range(8)]

    with ThreadPoolExecutor(len(stores)) as threads:
        assert list(threads.map(lambda store: list(store.load()), stores)) == [[]] * len(stores)

    indexes = plan.database.leases.index_information()
    assert [index for index in indexes.values() if index.get("unique")]
    stores[0].commit(puts(POOL, LEASE))


def test_a_database_in_a_newer_format_is_refused_and_left_unchanged(plan: SharedPlan) -> None:
    plan.loaded().commit(puts(POOL))
    plan.database.format.update_one({"_id": "pyipam"}, {"$set": {"version": 3}})
    before = list(plan.database.nodes.find())

    with pytest.raises(StateCorrupted, match="is in format 3, and this program knows format 2"):
        plan.open().load()

    assert list(plan.database.nodes.find()) == before


# A database of the format before


def make_former(plan: SharedPlan) -> None:
    """Turn a database into one of format 1, in which the versions of the pool set were in a
    collection of their own and had no stripes."""
    database = plan.database
    database.pools.delete_many({"_id": VERSION_IDS})
    database.pools.drop_indexes()
    database.versions.create_index("version", unique=True)
    database.versions.insert_one({"_id": 1, "version": 1, "writer": "a", "puts": [], "deletes": []})
    database.format.update_one({"_id": "pyipam"}, {"$set": {"version": 1}})


def test_a_database_of_the_former_format_is_brought_into_the_present_one(plan: SharedPlan) -> None:
    plan.loaded().commit(puts(POOL, LEASE))
    make_former(plan)

    store = plan.open()

    assert set(store.load()) == {POOL, LEASE}
    assert plan.database.format.find_one() == {"_id": "pyipam", "version": DATABASE_FORMAT}
    store.commit(puts(OTHER_POOL))
    assert set(plan.open().load()) == {POOL, LEASE, OTHER_POOL}


def test_several_nodes_can_bring_a_database_into_the_present_format_at_once(
    plan: SharedPlan,
) -> None:
    plan.loaded("node0").commit(puts(POOL))
    make_former(plan)
    stores = [plan.open(f"node{number}") for number in range(8)]

    with ThreadPoolExecutor(len(stores)) as threads:
        assert all(threads.map(lambda store: len(list(store.load())) == 1, stores))

    stores[0].commit(puts(OTHER_POOL))
    assert plan.records("node0") == {POOL, OTHER_POOL}


def test_a_plugin_that_still_works_in_the_former_format_can_make_no_version_any_more(
    plan: SharedPlan,
) -> None:
    plan.loaded().commit(puts(POOL))
    make_former(plan)

    plan.loaded()

    # As it is made in format 1, in the transaction that creates or deletes a pool.
    version = {"version": 2, "writer": "b", "puts": [], "deletes": []}
    with pytest.raises(WriteError) as refused:
        plan.database.versions.replace_one({"_id": 2, "version": -8190}, version, upsert=True)
    assert refused.value.code == DOCUMENT_VALIDATION_FAILURE


def test_a_plugin_of_the_former_format_refuses_a_database_of_the_present_one(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.loaded().commit(puts(POOL))
    monkeypatch.setattr(deployment, "DATABASE_FORMAT", 1)

    with pytest.raises(StateCorrupted, match="is in format 2, and this program knows format 1"):
        plan.open().load()


def test_a_malformed_document_is_named_and_nothing_is_given_out(plan: SharedPlan) -> None:
    plan.loaded().commit(puts(POOL, LEASE))
    plan.database.leases.update_one({}, {"$unset": {"granted": 1}})
    store = plan.open()

    with pytest.raises(StateCorrupted, match=r"'local@nodea/100.64.0.0/30/100.64.0.2' of leases"):
        store.load()
    with pytest.raises(StoreFailure, match="until it has been read completely"):
        store.commit(puts(LEASE))


# Who may use it


def test_the_store_uses_credentials_and_certificates(
    guarded: GuardedServer, credentials: Document, tmp_path: Path
) -> None:
    store = MongoDbStore(guarded.address(**credentials), "nodea", tmp_path)

    assert list(store.load()) == []
    store.commit(puts(POOL, LEASE))
    store.close()


def test_a_wrong_password_is_reported_but_not_shown(
    guarded: GuardedServer, credentials: Document, tmp_path: Path
) -> None:
    address = guarded.address(**credentials | {"password": "wr0ng"})

    refusal = refusal_of(address, tmp_path)

    assert "Authentication failed" in refusal
    assert "STORE_CREDENTIALS_PATH" in refusal
    assert "wr0ng" not in refusal


def test_missing_credentials_are_reported(
    guarded: GuardedServer, credentials: Document, tmp_path: Path
) -> None:
    address = guarded.address(**credentials | {"username": "", "password": ""})

    assert "STORE_CREDENTIALS_PATH" in refusal_of(address, tmp_path)


def test_a_server_whose_certificate_no_given_authority_has_signed_is_refused(
    guarded: GuardedServer,
    credentials: Document,
    tmp_path: Path,
) -> None:
    other = {"tls_ca": "", "tls_certificate": ""}
    url = f"mongodb://{guarded.place}/?replicaSet=rs0&tls=true"

    refusal = refusal_of(StoreAddress(url, **credentials | other), tmp_path)

    assert "certificate verify failed" in refusal
