"""The file that a plan is exported to: what is in it, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.store.records import Change, Claim, DriverRecord, LeaseRecord, PoolRecord, Record
from pyipam.transfer.plan_file import Plan, PlanError, read_plan, write_plan
from tests.support.stored_records import (
    DRIVER,
    EVERY_KIND,
    GATEWAY,
    LEASE,
    POOL,
    RANGE_POOL,
    STRANGE_TEXT,
    Model,
    batches,
)

SCHEMA = '{"schema_version": 1,\n "scopes": []}\n'
PLAN = Plan((DRIVER, POOL, GATEWAY, LEASE), SCHEMA)
POOL_ENTRY = {
    "id": "local/100.64.0.0/30",
    "scope": "100.64.0.0/20",
    "label": "testnet",
    "tags": "null_routed",
    "claims": [["driver", 1, 1]],
    "created": 1600000000.123456,
    "released": None,
}
LEASE_ENTRY = {
    "pool": "local/100.64.0.0/30",
    "address": "100.64.0.2",
    "use": "container",
    "driver": "driver",
    "epoch": 1,
    "granted": 1600000002.25,
    "released": None,
}
DRIVER_ENTRY = {"name": "driver", "engine": "boot:4711", "local_epoch": 3, "global_epoch": 4}


def file_of(**members: Any) -> bytes:
    """A file with these members of the plan, and a checksum that agrees with them."""
    plan = {"schema": None, "drivers": [], "pools": [], "leases": [], **members}
    checksum = sha256(orjson.dumps(plan)).hexdigest()
    return orjson.dumps({"title": "pyipam plan", "format": 1, "sha256": checksum, "plan": plan})


def good(content: bytes) -> Plan:
    plan = read_plan(content)
    assert isinstance(plan, Plan), plan
    return plan


def errors(content: bytes) -> list[str]:
    found = read_plan(content)
    assert not isinstance(found, Plan)
    return [str(error) for error in found]


# What is in it


def test_the_file_holds_each_record_on_a_line_of_its_own() -> None:
    lines = write_plan(PLAN).splitlines()

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


def test_the_file_begins_with_what_it_is_and_a_checksum_of_the_plan() -> None:
    document = orjson.loads(write_plan(PLAN))

    assert list(document) == ["title", "format", "sha256", "plan"]
    assert document["title"] == "pyipam plan"
    assert document["format"] == 1
    assert document["sha256"] == sha256(orjson.dumps(document["plan"])).hexdigest()


def test_an_empty_plan_is_a_plan() -> None:
    assert good(write_plan(Plan(()))) == Plan(())


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_record_of_every_kind_is_read_as_it_was_written(kind: str) -> None:
    plan = Plan(tuple(EVERY_KIND[kind]))

    assert good(write_plan(plan)) == plan


def test_the_text_of_the_schema_is_kept_to_the_letter() -> None:
    assert good(write_plan(Plan((), SCHEMA))).schema == SCHEMA


@given(batches())
def test_whatever_a_store_holds_is_read_as_it_was_written(commits: list[Sequence[Change]]) -> None:
    model = Model()
    for changes in commits:
        model.apply(changes)

    plan = good(write_plan(Plan(tuple(model.records.values()))))

    assert model.holds(plan.records)


@given(st.permutations([DRIVER, POOL, RANGE_POOL, GATEWAY, LEASE]))
def test_the_same_plan_gives_the_same_bytes(records: list[Record]) -> None:
    in_order = write_plan(Plan((DRIVER, POOL, RANGE_POOL, GATEWAY, LEASE)))

    assert write_plan(Plan(tuple(records))) == in_order


def test_leases_stand_in_the_order_of_their_addresses() -> None:
    pool = POOL._replace(id="local/100.64.0.0/24")
    leases = [LEASE._replace(pool=pool.id, address=f"100.64.0.{n}") for n in (100, 9, 20)]

    plan = good(write_plan(Plan((pool, *leases))))

    found = [record.address for record in plan.records if isinstance(record, LeaseRecord)]
    assert found == ["100.64.0.9", "100.64.0.20", "100.64.0.100"]


def test_pools_come_before_the_leases_in_them() -> None:
    plan = good(write_plan(Plan((GATEWAY, POOL, DRIVER))))

    kinds = [type(record) for record in plan.records]
    assert kinds == [DriverRecord, PoolRecord, LeaseRecord]


def test_the_pools_of_several_nodes_may_hold_one_subnet() -> None:
    plan = Plan(
        (
            DRIVER._replace(name="driver@a"),
            POOL._replace(id="global/100.64.0.0/30"),
            POOL._replace(id="local@a/100.64.0.0/30"),
            POOL._replace(id="local@b/100.64.0.0/30"),
            LEASE._replace(pool="local@b/100.64.0.0/30"),
        )
    )

    assert good(write_plan(plan)) == plan


def test_a_pool_that_rests_may_lie_where_another_is_held() -> None:
    resting = POOL._replace(id="local/100.64.0.0/29", claims=(), released=5.0)

    assert len(good(write_plan(Plan((POOL, resting)))).records) == 2


def test_blanks_and_line_breaks_do_not_matter() -> None:
    content = orjson.dumps(orjson.loads(write_plan(PLAN)), option=orjson.OPT_INDENT_2)

    assert good(content) == good(write_plan(PLAN))


# What is no such file


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"nonsense", write_plan(PLAN)[:-3]], ids=repr
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    (error,) = errors(content)

    assert error.startswith("$: this is no JSON that can be read: ")


@pytest.mark.parametrize(
    "content", [b"null", b"[]", b"{}", b'{"schema_version": 1, "scopes": []}', b'{"title": 1}']
)
def test_another_json_file_is_refused(content: bytes) -> None:
    assert errors(content) == ["$.title: this is no file that pyipam has exported ('pyipam plan')"]


@pytest.mark.parametrize("number", [2, 0, "1", None, 99])
def test_a_file_of_another_format_is_refused_whatever_else_is_in_it(number: Any) -> None:
    content = orjson.dumps({"title": "pyipam plan", "format": number, "unheard": "of"})

    assert errors(content) == [
        f"$.format: the file is of format {orjson.dumps(number).decode()}; this pyipam reads "
        "format 1: use the version that wrote it"
    ]


def test_a_file_with_members_missing_or_added_is_refused() -> None:
    document = orjson.loads(write_plan(PLAN))

    assert errors(orjson.dumps(document | {"more": 1}))[0].startswith("$: it must have title")
    del document["sha256"]
    assert errors(orjson.dumps(document))[0].startswith("$: it must have title")


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"100.64.0.2", b"100.64.0.3"), (b"testnet", b"festnet"), (b'"epoch":1', b'"epoch":2')],
)
def test_a_file_that_was_changed_is_refused(before: bytes, after: bytes) -> None:
    content = write_plan(PLAN).replace(before, after)

    assert errors(content) == [
        "$.plan: it does not agree with its checksum: it was changed or damaged after its export"
    ]


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    deep = b'"drivers":[' + b"[" * 500 + b"]" * 500 + b","

    assert errors(write_plan(PLAN).replace(b'"drivers":[', deep)) == [
        "$.plan: it does not agree with its checksum: it was changed or damaged after its export"
    ]


@given(st.integers(0, len(write_plan(PLAN)) - 2), st.integers(1, 255))
def test_no_byte_can_be_another_unnoticed(position: int, change: int) -> None:
    content = bytearray(write_plan(PLAN))
    content[position] ^= change

    plan = read_plan(bytes(content))

    assert not isinstance(plan, Plan) or plan == good(write_plan(PLAN))


# What is wrong in a plan

_integers = st.integers(-(2**63), 2**64 - 1)


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a-list-is-none": ({"pools": {}}, ["$.plan.pools: it must be a list, not {}"]),
    "a-member-too-many": ({"notes": ""}, ["$.plan.notes: this member is not known"]),
    "an-entry-that-is-no-object": (
        {"pools": [POOL_ENTRY, "x"]},
        ['$.plan.pools[1]: it must be an object, not "x"'],
    ),
    "an-unknown-member": (
        {"pools": [POOL_ENTRY | {"colour": "red", "odd name": 1}]},
        [
            "$.plan.pools[0].colour: this member is not known",
            '$.plan.pools[0]["odd name"]: this member is not known',
        ],
    ),
    "a-missing-member": (
        {"drivers": [{"name": "driver", "engine": "", "local_epoch": 1}]},
        ["$.plan.drivers[0].global_epoch: it is missing"],
    ),
    "a-driver-with-bad-values": (
        {"drivers": [{"name": "", "engine": 5, "local_epoch": -1, "global_epoch": True}]},
        [
            '$.plan.drivers[0].name: it must be a name, not ""',
            "$.plan.drivers[0].engine: it must be a text, not 5",
            "$.plan.drivers[0].local_epoch: it must be a whole number from 0 on, not -1",
            "$.plan.drivers[0].global_epoch: it must be a whole number from 0 on, not true",
        ],
    ),
    "a-driver-twice": (
        {"drivers": [DRIVER_ENTRY, DRIVER_ENTRY | {"local_epoch": 9}]},
        ['$.plan.drivers[1].name: "driver" stands there twice'],
    ),
    "a-pool-with-bad-values": (
        {
            "pools": [
                POOL_ENTRY
                | {
                    "scope": "100.64.0.1/20",
                    "label": None,
                    "tags": 1,
                    "created": "now",
                    "released": False,
                }
            ]
        },
        [
            "$.plan.pools[0].scope: it must be a network like 10.0.0.0/8, or empty, not "
            '"100.64.0.1/20"',
            "$.plan.pools[0].label: it must be a text, not null",
            "$.plan.pools[0].tags: it must be a text, not 1",
            '$.plan.pools[0].created: it must be a time in seconds, not "now"',
            "$.plan.pools[0].released: it must be a time in seconds, or null, not false",
        ],
    ),
    "claims-that-are-none": (
        {"pools": [POOL_ENTRY | {"claims": [["driver", 1], ["pyipam", 1.5, 0], 7]}]},
        [
            '$.plan.pools[0].claims[0]: it must be [driver, epoch, references], not ["driver", 1]',
            "$.plan.pools[0].claims[1][1]: it must be a whole number from 0 on, not 1.5",
            "$.plan.pools[0].claims[1][2]: it must be a whole number from 1 on, not 0",
            "$.plan.pools[0].claims[2]: it must be [driver, epoch, references], not 7",
        ],
    ),
    "two-claims-of-a-driver": (
        {"pools": [POOL_ENTRY | {"claims": [["driver", 1, 1], ["driver", 2, 1]]}]},
        ['$.plan.pools[0].claims[1][0]: "driver" has a claim already'],
    ),
    "a-pool-twice": (
        {"pools": [POOL_ENTRY, POOL_ENTRY | {"label": "other"}]},
        ["$.plan.pools[1].id: local/100.64.0.0/30 stands there twice"],
    ),
    "pools-that-overlap": (
        {"pools": [POOL_ENTRY, POOL_ENTRY | {"id": "local/100.64.0.0/29"}]},
        ["$.plan.pools[0].id: 100.64.0.0/30 overlaps 100.64.0.0/29 of $.plan.pools[1]"],
    ),
    "pools-of-nodes-and-of-none": (
        {"pools": [POOL_ENTRY, POOL_ENTRY | {"id": "local@b/100.64.0.4/30"}]},
        ["$.plan.pools: some local pools name their node, others do not"],
    ),
    "a-lease-with-bad-values": (
        {
            "pools": [POOL_ENTRY],
            "leases": [
                LEASE_ENTRY
                | {"use": "router", "driver": "", "epoch": "1", "granted": -1, "released": "x"}
            ],
        },
        [
            '$.plan.leases[0].use: it must be "gateway", "container" or "mirror", not "router"',
            '$.plan.leases[0].driver: it must be a name, not ""',
            '$.plan.leases[0].epoch: it must be a whole number from 0 on, not "1"',
            "$.plan.leases[0].granted: it must be a time in seconds, not -1",
            '$.plan.leases[0].released: it must be a time in seconds, or null, not "x"',
        ],
    ),
    "a-lease-without-its-pool": (
        {"leases": [LEASE_ENTRY]},
        ['$.plan.leases[0].pool: "local/100.64.0.0/30" is no pool of this file'],
    ),
    "a-lease-whose-pool-is-wrong-itself": (
        {"pools": [POOL_ENTRY | {"tags": None}], "leases": [LEASE_ENTRY]},
        ["$.plan.pools[0].tags: it must be a text, not null"],
    ),
    "an-address-twice": (
        {"pools": [POOL_ENTRY], "leases": [LEASE_ENTRY, LEASE_ENTRY | {"use": "gateway"}]},
        ["$.plan.leases[1].address: 100.64.0.2 is leased already, $.plan.leases[0]"],
    ),
    "an-address-twice-by-two-ip-ranges-of-a-subnet": (
        {
            "pools": [POOL_ENTRY, POOL_ENTRY | {"id": "local/100.64.0.0/30/100.64.0.2/31"}],
            "leases": [LEASE_ENTRY, LEASE_ENTRY | {"pool": "local/100.64.0.0/30/100.64.0.2/31"}],
        },
        ["$.plan.leases[1].address: 100.64.0.2 is leased already, $.plan.leases[0]"],
    ),
    "a-schema-that-is-no-text": (
        {"schema": {"scopes": []}},
        ['$.plan.schema: it must be a text, or null, not {"scopes": []}'],
    ),
    "a-schema-that-is-wrong": (
        {"schema": '{"schema_version": 1, "scopes": 7}'},
        ["$.plan.schema: the schema is wrong at $.scopes: it must be a list, not 7"],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_with_its_place(what: str) -> None:
    members, expected = WRONG[what]

    assert errors(file_of(**members)) == expected


@pytest.mark.parametrize(
    "pool_id",
    [
        "",
        "local",
        "100.64.0.0/30",
        "local/100.64.0.0",
        "local/100.64.0.1/30",
        "local/100.64.0.0/33",
        "local/100.064.0.0/30",
        "local/100.64.0.0/30/",
        "local/100.64.0.0/30/100.64.0.0/29",
        "local/100.64.0.0/30/100.64.0.4/31",
        "local/100.64.0.0/30/fc00::/64",
        "local/100.64.0.0/30/100.64.0.2/31/more",
        "local/FC00::/64",
        "local/fc00:0::/64",
        "local/fe80::%eth0/64",
        "LOCAL/100.64.0.0/30",
        "elsewhere/100.64.0.0/30",
        "local@/100.64.0.0/30",
        "global@a/100.64.0.0/30",
    ],
)
def test_a_pool_id_that_pyipam_would_not_write_is_refused(pool_id: str) -> None:
    (error,) = errors(file_of(pools=[POOL_ENTRY | {"id": pool_id}]))

    assert error.startswith("$.plan.pools[0].id: ")


@pytest.mark.parametrize(
    "address",
    ["", "x", "100.64.0.4", "100.64.0.2/30", "100.64.0.02", "::ffff:100.64.0.2", "fc00::2", 7],
)
def test_an_address_that_is_none_of_its_pool_is_refused(address: Any) -> None:
    (error,) = errors(file_of(pools=[POOL_ENTRY], leases=[LEASE_ENTRY | {"address": address}]))

    assert error.startswith("$.plan.leases[0].address: ")


def test_an_ipv6_address_must_be_written_as_pyipam_writes_it() -> None:
    pool = POOL_ENTRY | {"id": "local/fc00::/64"}
    leases = [
        LEASE_ENTRY | {"pool": pool["id"], "address": address}
        for address in ("fc00::2", "fc00:0::3", "FC00::4", "fc00::5%eth0")
    ]

    found = errors(file_of(pools=[pool], leases=leases))

    assert [error.partition(":")[0] for error in found] == [
        f"$.plan.leases[{n}].address" for n in (1, 2, 3)
    ]


def test_every_error_is_found_at_once() -> None:
    members: dict[str, Any] = {}
    expected: list[str] = []
    for what in ("a-driver-with-bad-values", "a-pool-with-bad-values"):
        members |= deepcopy(WRONG[what][0])
        expected += WRONG[what][1]
    members["leases"] = [LEASE_ENTRY | {"pool": "local/10.0.0.0/8"}, None]
    expected += [
        '$.plan.leases[0].pool: "local/10.0.0.0/8" is no pool of this file',
        "$.plan.leases[1]: it must be an object, not null",
    ]

    assert sorted(errors(file_of(**members))) == sorted(expected)


def test_strange_texts_are_written_so_that_they_can_be_read() -> None:
    plan = Plan(
        (
            DRIVER._replace(engine=STRANGE_TEXT),
            POOL._replace(label=STRANGE_TEXT, claims=(Claim(STRANGE_TEXT, 1, 1),)),
        )
    )

    assert good(write_plan(plan)) == plan


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 9) | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["id", "pool", "claims", "x"]), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    st.sampled_from(["schema", "drivers", "pools", "leases"]),
    st.booleans(),
)
def test_whatever_stands_in_a_file_it_is_a_plan_or_an_error(
    value: Any, name: str, in_a_list: bool
) -> None:
    found = read_plan(file_of(**{name: [value] if in_a_list else value}))

    assert isinstance(found, Plan) or all(isinstance(error, PlanError) for error in found)


@given(
    st.sampled_from(["id", "scope", "label", "tags", "claims", "created", "released"]),
    st.recursive(
        st.none() | st.booleans() | _integers | st.floats(0, 9) | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    ),
)
def test_whatever_stands_in_a_pool_it_is_a_plan_or_an_error(key: str, value: Any) -> None:
    found = read_plan(file_of(pools=[POOL_ENTRY | {key: value}], leases=[LEASE_ENTRY]))

    assert found
