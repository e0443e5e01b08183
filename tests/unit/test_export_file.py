"""The file of an export: what is in it, and which files are refused as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.store.records import Change, DriverRecord, LeaseRecord, PoolRecord, Record
from pyipam.transfer.export_file import Export, read_export, write_export
from tests.support.stored_records import (
    DRIVER,
    EVERY_KIND,
    EVERY_KIND_OF_NODE,
    GATEWAY,
    LEASE,
    POOL,
    RANGE_POOL,
    Model,
    batches,
)
from tests.unit.exports import (
    DRIVER_ENTRY,
    EXPORT,
    LEASE_ENTRY,
    POOL_ENTRY,
    SCHEMA,
    errors,
    good,
)


def test_each_record_is_on_a_line_of_its_own() -> None:
    lines = write_export(EXPORT).splitlines()

    assert lines[1:] == [
        b'"plan":{"schema":"{\\"schema_version\\": 1,\\n \\"scopes\\": []}\\n",',
        b'"drivers":[',
        orjson.dumps(DRIVER_ENTRY) + b"],",
        b'"pools":[',
        orjson.dumps(POOL_ENTRY) + b"],",
        b'"leases":[',
        orjson.dumps(LEASE_ENTRY | {"address": "100.64.0.1", "use": "gateway"}).replace(
            b"1600000002.25", b"1600000001.5"
        )
        + b",",
        orjson.dumps(LEASE_ENTRY) + b"]}}",
    ]


def test_the_file_begins_with_its_title_its_format_and_a_checksum() -> None:
    document = orjson.loads(write_export(EXPORT))

    assert list(document) == ["title", "format", "sha256", "plan"]
    assert document["title"] == "pyipam plan"
    assert document["format"] == 1
    assert document["sha256"] == sha256(orjson.dumps(document["plan"])).hexdigest()


def test_an_export_may_be_empty() -> None:
    assert good(write_export(Export(()))) == Export(())


@pytest.mark.parametrize("kind", EVERY_KIND | EVERY_KIND_OF_NODE)
def test_a_record_of_every_kind_is_read_as_it_was_written(kind: str) -> None:
    export = Export(tuple((EVERY_KIND | EVERY_KIND_OF_NODE)[kind]))

    assert good(write_export(export)) == export


def test_the_text_of_the_schema_is_not_changed() -> None:
    assert good(write_export(Export((), SCHEMA))).schema == SCHEMA


@given(batches())
def test_whatever_a_store_holds_is_read_as_it_was_written(commits: list[Sequence[Change]]) -> None:
    model = Model()
    for changes in commits:
        model.apply(changes)

    export = good(write_export(Export(tuple(model.records.values()))))

    assert model.holds(export.records)


@given(st.permutations([DRIVER, POOL, RANGE_POOL, GATEWAY, LEASE]))
def test_the_same_records_in_any_order_give_the_same_bytes(records: list[Record]) -> None:
    in_order = write_export(Export((DRIVER, POOL, RANGE_POOL, GATEWAY, LEASE)))

    assert write_export(Export(tuple(records))) == in_order


def test_leases_are_in_the_order_of_their_addresses() -> None:
    pool = POOL._replace(id="local/100.64.0.0/24")
    leases = [LEASE._replace(pool=pool.id, address=f"100.64.0.{n}") for n in (100, 9, 20)]

    export = good(write_export(Export((pool, *leases))))

    found = [record.address for record in export.records if isinstance(record, LeaseRecord)]
    assert found == ["100.64.0.9", "100.64.0.20", "100.64.0.100"]


def test_pools_come_before_the_leases_in_them() -> None:
    export = good(write_export(Export((GATEWAY, POOL, DRIVER))))

    kinds = [type(record) for record in export.records]
    assert kinds == [DriverRecord, PoolRecord, LeaseRecord]


def test_several_nodes_may_hold_the_same_subnet() -> None:
    export = Export(
        (
            DRIVER._replace(name="driver@a"),
            POOL._replace(id="global/100.64.0.0/30"),
            POOL._replace(id="local@a/100.64.0.0/30"),
            POOL._replace(id="local@b/100.64.0.0/30"),
            LEASE._replace(pool="local@b/100.64.0.0/30"),
        )
    )

    assert good(write_export(export)) == export


def test_a_resting_pool_may_overlap_one_that_is_held() -> None:
    resting = POOL._replace(id="local/100.64.0.0/29", claims=(), released=5.0)

    assert len(good(write_export(Export((POOL, resting)))).records) == 2


def test_blanks_and_line_breaks_do_not_matter() -> None:
    content = orjson.dumps(orjson.loads(write_export(EXPORT)), option=orjson.OPT_INDENT_2)

    assert good(content) == good(write_export(EXPORT))


# Files that are not exports

CHANGED = (
    "$.plan: this does not match its checksum: it was changed or corrupted after it was exported"
)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"nonsense", write_export(EXPORT)[:-3]], ids=repr
)
def test_a_file_that_is_not_json_is_refused(content: bytes) -> None:
    (error,) = errors(content)

    assert error.startswith("$: this cannot be read as JSON: ")


@pytest.mark.parametrize(
    "content", [b"null", b"[]", b"{}", b'{"schema_version": 1, "scopes": []}', b'{"title": 1}']
)
def test_another_json_file_is_refused(content: bytes) -> None:
    assert errors(content) == ["$.title: this is not an export of pyipam ('pyipam plan')"]


@pytest.mark.parametrize("number", [3, 0, "1", None, 99])
def test_a_file_of_another_format_is_refused_whatever_else_is_in_it(number: Any) -> None:
    content = orjson.dumps({"title": "pyipam plan", "format": number, "unheard": "of"})

    assert errors(content) == [
        f"$.format: the file has format {orjson.dumps(number).decode()}, and this version of "
        "pyipam reads formats 1 and 2: use the version that wrote the file"
    ]


def test_a_file_with_missing_or_additional_members_is_refused() -> None:
    document = orjson.loads(write_export(EXPORT))

    assert errors(orjson.dumps(document | {"more": 1}))[0].startswith(
        "$: the members must be title"
    )
    del document["sha256"]
    assert errors(orjson.dumps(document))[0].startswith("$: the members must be title")


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"100.64.0.2", b"100.64.0.3"), (b"testnet", b"festnet"), (b'"epoch":1', b'"epoch":2')],
)
def test_a_file_that_was_changed_is_refused(before: bytes, after: bytes) -> None:
    content = write_export(EXPORT).replace(before, after)

    assert errors(content) == [CHANGED]


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    deep = b'"drivers":[' + b"[" * 500 + b"]" * 500 + b","

    assert errors(write_export(EXPORT).replace(b'"drivers":[', deep)) == [CHANGED]


@given(st.integers(0, len(write_export(EXPORT)) - 2), st.integers(1, 255))
def test_a_change_of_any_byte_is_noticed_or_makes_no_difference(position: int, change: int) -> None:
    content = bytearray(write_export(EXPORT))
    content[position] ^= change

    export = read_export(bytes(content))

    assert not isinstance(export, Export) or export == good(write_export(EXPORT))
