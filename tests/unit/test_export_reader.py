"""What is wrong in an export: every error, each with its path and value."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.plan.object_rules import DocumentError
from pyipam.store.records import Claim
from pyipam.transfer.export_file import Export, read_export, write_export
from tests.support.stored_records import (
    DRIVER,
    POOL,
    STRANGE_TEXT,
)
from tests.unit.exports import (
    DRIVER_ENTRY,
    LEASE_ENTRY,
    POOL_ENTRY,
    errors,
    file_of,
    good,
)

LARGEST = 9007199254740991
POOL_KEYS = ", ".join([*POOL_ENTRY, "shared", "aggregate", "follows_swarm"])
AGGREGATE_ENTRY = {
    "id": "local/10.1.0.0/20",
    "scope": "10.1.0.0/16",
    "since": 1.0,
    "released": None,
    "forgotten": False,
}
NUMBER = f"an integer from 0 to {LARGEST}"
_integers = st.integers(-(2**63), 2**64 - 1)


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a-member-that-is-not-a-list": ({"pools": {}}, ["$.plan.pools: it must be a list, not {}"]),
    "an-unknown-member-of-the-plan": (
        {"notes": ""},
        ["$.plan.notes: unknown key; did you mean nodes?"],
    ),
    "an-entry-that-is-not-an-object": (
        {"pools": [POOL_ENTRY, "x"]},
        ['$.plan.pools[1]: it must be an object, not "x"'],
    ),
    "unknown-members-of-a-pool": (
        {"pools": [POOL_ENTRY | {"colour": "red", "odd name": 1}]},
        [
            f"$.plan.pools[0].colour: unknown key; the keys are {POOL_KEYS}",
            f'$.plan.pools[0]["odd name"]: unknown key; the keys are {POOL_KEYS}',
        ],
    ),
    "a-missing-member": (
        {"drivers": [{"name": "driver", "engine": "", "local_epoch": 1}]},
        [f"$.plan.drivers[0].global_epoch: it is missing; it must be {NUMBER}"],
    ),
    "a-driver-with-bad-values": (
        {"drivers": [{"name": "", "engine": 5, "local_epoch": -1, "global_epoch": True}]},
        [
            '$.plan.drivers[0].name: it must be a string that is not empty, not ""',
            "$.plan.drivers[0].engine: it must be a string, not 5",
            f"$.plan.drivers[0].local_epoch: it must be {NUMBER}, not -1",
            f"$.plan.drivers[0].global_epoch: it must be {NUMBER}, not true",
        ],
    ),
    "a-driver-that-is-listed-twice": (
        {"drivers": [DRIVER_ENTRY, DRIVER_ENTRY | {"local_epoch": 9}]},
        ['$.plan.drivers[1].name: "driver" is listed twice'],
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
            "$.plan.pools[0].label: it must be a string, not null",
            "$.plan.pools[0].tags: it must be a string, not 1",
            '$.plan.pools[0].created: it must be a time in seconds, not "now"',
            "$.plan.pools[0].released: it must be a time in seconds or null, not false",
            "$.plan.pools[0].scope: it must be a network such as 10.0.0.0/8, or empty, not "
            '"100.64.0.1/20"',
        ],
    ),
    "claims-with-bad-values": (
        {"pools": [POOL_ENTRY | {"claims": [["driver", 1], ["pyipam", 1.5, 0], 7]}]},
        [
            '$.plan.pools[0].claims[0]: it must be [driver, epoch, references], not ["driver", 1]',
            f"$.plan.pools[0].claims[1][1]: it must be {NUMBER}, not 1.5",
            f"$.plan.pools[0].claims[1][2]: it must be an integer from 1 to {LARGEST}, not 0",
            "$.plan.pools[0].claims[2]: it must be [driver, epoch, references], not 7",
        ],
    ),
    "two-claims-of-a-driver": (
        {"pools": [POOL_ENTRY | {"claims": [["driver", 1, 1], ["driver", 2, 1]]}]},
        ['$.plan.pools[0].claims[1][0]: "driver" already has a claim'],
    ),
    "a-pool-that-is-listed-twice": (
        {"pools": [POOL_ENTRY, POOL_ENTRY | {"label": "other"}]},
        ["$.plan.pools[1].id: local/100.64.0.0/30 is listed twice"],
    ),
    "pools-that-overlap": (
        {"pools": [POOL_ENTRY, POOL_ENTRY | {"id": "local/100.64.0.0/29"}]},
        ["$.plan.pools[0].id: 100.64.0.0/30 overlaps 100.64.0.0/29 of $.plan.pools[1]"],
    ),
    "pools-outside-of-what-they-were-drawn-from": (
        {
            "pools": [
                POOL_ENTRY | {"aggregate": "100.64.1.0/24"},
                POOL_ENTRY | {"id": "local/100.64.0.4/30", "aggregate": "100.64.0.1/24"},
                POOL_ENTRY | {"id": "local/100.64.0.8/30", "aggregate": "100.64.0.0/24"},
            ]
        },
        [
            "$.plan.pools[0].aggregate: it must be the block that the pool was drawn from, or "
            'empty, not "100.64.1.0/24"',
            "$.plan.pools[1].aggregate: it must be the block that the pool was drawn from, or "
            'empty, not "100.64.0.1/24"',
            "$.plan.pools[2].aggregate: local/100.64.0.0/24 is not listed in aggregates",
        ],
    ),
    "aggregates-that-cannot-be": (
        {
            "aggregates": [
                AGGREGATE_ENTRY,
                AGGREGATE_ENTRY | {"id": "local@b/10.1.8.0/21"},
                AGGREGATE_ENTRY
                | {"id": "global/10.2.0.0/20", "scope": "10.1.0.0/15", "since": "today"},
            ],
            "nodes": [{"name": "a", "draining": True, "forgotten": None}],
        },
        [
            '$.plan.aggregates[2].since: it must be a time in seconds, not "today"',
            "$.plan.aggregates[2].scope: it must be a network such as 10.0.0.0/8, or empty, not "
            '"10.1.0.0/15"',
            '$.plan.aggregates[2].id: "global/10.2.0.0/20" is not the id of an aggregate '
            "(local/BLOCK or local@NODE/BLOCK)",
            "$.plan.aggregates[1].id: 10.1.8.0/21 overlaps 10.1.0.0/20 of $.plan.aggregates[0]",
            "$.plan.nodes[0].draining: it must be a time in seconds or null, not true",
        ],
    ),
    "pools-with-and-without-a-node": (
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
            '$.plan.leases[0].driver: it must be a string that is not empty, not ""',
            f'$.plan.leases[0].epoch: it must be {NUMBER}, not "1"',
            "$.plan.leases[0].granted: it must be a time in seconds, not -1",
            '$.plan.leases[0].released: it must be a time in seconds or null, not "x"',
        ],
    ),
    "a-lease-with-a-bad-value-and-outside-its-pool": (
        {"pools": [POOL_ENTRY], "leases": [LEASE_ENTRY | {"use": 1, "address": "100.64.0.9"}]},
        [
            '$.plan.leases[0].use: it must be "gateway", "container" or "mirror", not 1',
            '$.plan.leases[0].address: "100.64.0.9" is not an address of its pool, '
            "local/100.64.0.0/30",
        ],
    ),
    "a-lease-without-its-pool": (
        {"leases": [LEASE_ENTRY]},
        ['$.plan.leases[0].pool: "local/100.64.0.0/30" is not a pool of this file'],
    ),
    "a-lease-of-a-pool-with-an-error": (
        {"pools": [POOL_ENTRY | {"tags": None}], "leases": [LEASE_ENTRY]},
        ["$.plan.pools[0].tags: it must be a string, not null"],
    ),
    "an-address-that-is-leased-twice": (
        {"pools": [POOL_ENTRY], "leases": [LEASE_ENTRY, LEASE_ENTRY | {"use": "gateway"}]},
        ["$.plan.leases[1].address: 100.64.0.2 is already leased in $.plan.leases[0]"],
    ),
    "an-address-that-is-leased-twice-through-two-ip-ranges": (
        {
            "pools": [POOL_ENTRY, POOL_ENTRY | {"id": "local/100.64.0.0/30/100.64.0.2/31"}],
            "leases": [LEASE_ENTRY, LEASE_ENTRY | {"pool": "local/100.64.0.0/30/100.64.0.2/31"}],
        },
        ["$.plan.leases[1].address: 100.64.0.2 is already leased in $.plan.leases[0]"],
    ),
    "a-schema-that-is-not-a-string": (
        {"schema": {"scopes": []}},
        ['$.plan.schema: it must be a string or null, not {"scopes": []}'],
    ),
    "an-invalid-schema": (
        {"schema": '{"schema_version": 1, "scopes": 7}'},
        ["$.plan.schema: the schema is not valid: $.scopes: it must be a list, not 7"],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_an_error_with_its_path(what: str) -> None:
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
def test_an_address_outside_its_pool_is_refused(address: Any) -> None:
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
        '$.plan.leases[0].pool: "local/10.0.0.0/8" is not a pool of this file',
        "$.plan.leases[1]: it must be an object, not null",
    ]

    assert sorted(errors(file_of(**members))) == sorted(expected)


def test_strange_texts_are_read_as_they_were_written() -> None:
    export = Export(
        (
            DRIVER._replace(engine=STRANGE_TEXT),
            POOL._replace(label=STRANGE_TEXT, claims=(Claim(STRANGE_TEXT, 1, 1),)),
        )
    )

    assert good(write_export(export)) == export


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
def test_any_content_gives_an_export_or_errors(value: Any, name: str, in_a_list: bool) -> None:
    found = read_export(file_of(**{name: [value] if in_a_list else value}))

    assert isinstance(found, Export) or all(isinstance(error, DocumentError) for error in found)


@given(
    st.sampled_from(["id", "scope", "label", "tags", "claims", "created", "released"]),
    st.recursive(
        st.none() | st.booleans() | _integers | st.floats(0, 9) | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    ),
)
def test_any_member_of_a_pool_gives_an_export_or_errors(key: str, value: Any) -> None:
    found = read_export(file_of(pools=[POOL_ENTRY | {key: value}], leases=[LEASE_ENTRY]))

    assert found
