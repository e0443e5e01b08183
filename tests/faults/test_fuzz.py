"""Invalid input: a hundred thousand generated requests and schemas.

Each is served correctly, or refused in a sentence that Docker can show. A refusal changes nothing,
in memory or in the store. The seed is printed. FUZZ_SEED repeats a run; FUZZ_INPUTS says how many
inputs there are.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import orjson
import pytest
from waitress.adjustments import Adjustments

from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.serving.channel import Request
from pyipam.store.memory import MemoryStore
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import (
    DriverRecord,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Record,
)
from tests.faults.mutations import Mutations
from tests.support.dockerd import Reply, go_json, pool_request, request_bytes
from tests.support.in_process import InProcess, captured_log
from tests.support.program import DEFAULT_SCHEMA, scope

INPUTS = int(os.environ.get("FUZZ_INPUTS", "100000"))
SHARES = {"bodies": 0.3, "values": 0.4, "announcements": 0.05, "schemas": 0.12, "heads": 0.15}

MOST_POOLS = 10
LINE = re.compile(r'level=(INFO|WARNING) [a-z ]+( [a-z_]+=([\w./:+,!@-]+|"[ -~]*"))*\n', re.ASCII)
# Lines beside the one that says what a call did.
REMARKS = tuple(
    f"level=WARNING {event}"
    for event in (
        "the operator must act",
        "option ignored",
        "held back address given out",
        "subnet of a swarm served against the schema",
    )
)

PLAN = json.dumps(
    {
        "schema_version": 1,
        "scopes": [
            scope(
                "10.0.0.0/16",
                28,
                tags=["default", "a"],
                scopes=[
                    scope("10.0.8.0/24", 29, tags=["b"], reserved=["10.0.8.0/28"]),
                    scope("10.0.9.0/24", 27, tags=["c"], lock_down=True),
                    scope("10.0.10.0/24", 30, tags=["d"], address_space="global"),
                ],
            ),
            scope("fd00:1::/48", 64, tags=["default", "b"]),
        ],
    }
)
CALLS = ["RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress"]
OPTIONS = [
    ("scope_filter_tags", "a+!b,c"),
    ("scope_filter_tags", "'b'"),
    ("scope_filter_tags", "d, a"),
    ("prefix", "28"),
    ("prefix", "29,72"),
    ("id", "my network"),
    ("shared", "true"),
    ("shared", "true"),
    ("com.docker.network.ipam.serial", "true"),
    ("RequestAddressType", "com.docker.network.gateway"),
]
SUBNETS = ["", "", "10.0.3.0/24", "10.0.8.64/26", "0.0.0.0/28", "::/72", "fd00:1:0:7::/64"]
RANGES = ["", "", "", "10.0.3.64/26", "10.0.8.64/28", "fd00:1:0:7:8000::/65"]


def seed() -> int:
    """The seed of this run, which is printed so that the run can be repeated."""
    number = int(os.environ.get("FUZZ_SEED", str(random.randrange(2**32))))
    print(f"\nFUZZ_SEED={number}, {INPUTS} inputs in all")
    return number


def share(name: str) -> int:
    """How many inputs of this kind to generate."""
    return int(INPUTS * SHARES[name])


@dataclass
class Fuzzed:
    """A plugin that holds something, and the checks after each call."""

    plugin: InProcess
    store: MemoryStore
    log: list[str]
    mutations: Mutations
    served: int = 0

    def pools(self) -> list[str]:
        return [item.id for item in self.store.records.values() if isinstance(item, PoolRecord)]

    def leases(self) -> list[LeaseRecord]:
        return [item for item in self.store.records.values() if isinstance(item, LeaseRecord)]

    def good_body(self, call: str) -> dict[str, Any]:
        """A body that dockerd could send."""
        choose = self.mutations.choose
        options = dict(choose.choices(OPTIONS, k=choose.randrange(3)))
        if call == "RequestPool":
            space = choose.choice(["local", "local", "global"])
            subnet = choose.choice(SUBNETS)
            fitting = RANGES if subnet else [""]
            return pool_request(
                subnet, choose.choice(fitting), options, choose.random() < 0.3, space
            )
        lease = choose.choice(self.leases())
        if call == "ReleasePool":
            return {"PoolID": choose.choice(self.pools())}
        if call == "ReleaseAddress":
            return {"PoolID": lease.pool, "Address": lease.address}
        wanted = choose.choice(["", "", lease.address, "10.0.3.77", "fd00:1:0:7::77"])
        return {"PoolID": lease.pool, "Address": wanted, "Options": options}

    def check(self, call: str, body: bytes) -> None:
        """Send the call; the answer, the state and the log must be right."""
        before = dict(self.store.records)
        self.log.clear()
        reply = self.plugin.send("POST", f"/IpamDriver.{call}", body)
        changed = _difference(before, self.store.records)
        shown = f"{call} {body[:300]!r}: {reply}, {changed}, {self.log}"
        assert all(LINE.fullmatch(line) for line in self.log), shown
        assert len([line for line in self.log if not line.startswith(REMARKS)]) == 1, shown
        memory = {key: item for key, item in self.store.records.items() if _is_shown(item)}
        assert self.plugin.known() == memory, shown
        if reply.status == 200:
            self.served += 1
            assert _is_right(call, orjson.loads(body), reply, before, changed), shown
        else:
            assert 400 <= reply.status < 500, shown
            assert reply.error(), shown
            assert "internal error of pyipam" not in reply.error(), shown
            assert not changed, shown
        if len(self.pools()) > MOST_POOLS or not self.leases():
            self.begin_anew()

    def begin_anew(self) -> None:
        """Release everything, and request a little of every kind."""
        for pool in self.pools():
            while pool in self.pools():
                self.plugin.call("ReleasePool", {"PoolID": pool})
        for subnet, ip_range, space in [
            ("10.0.3.0/24", "", "local"),
            ("10.0.3.0/24", "10.0.3.64/26", "local"),
            ("10.0.3.0/24", "", "global"),
            ("fd00:1:0:7::/64", "", "local"),
            ("", "", "local"),
        ]:
            body = pool_request(subnet, ip_range, {"shared": "true"}, ":" in subnet, space)
            pool = self.plugin.call("RequestPool", body).json()["PoolID"]
            for _ in range(3):
                address = {"PoolID": pool, "Address": "", "Options": None}
                self.plugin.call("RequestAddress", address).json()


def _is_shown(record: Record) -> bool:
    return not isinstance(record, DriverRecord)


def _difference(before: dict[Any, Record], after: dict[Any, Record]) -> dict[Any, Any]:
    return {
        key: (before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }


def _is_right(
    call: str,
    asked: dict[str, Any],
    reply: Reply,
    before: dict[Any, Record],
    changed: dict[Any, Any],
) -> bool:
    """Whether a call that was served changed what it says, and nothing else."""
    answer = reply.json()
    if call == "RequestPool":
        return _is_right_pool(asked, answer, before, changed)
    if call == "RequestAddress":
        return _is_right_address(asked, answer, before, changed)
    if answer != {}:
        return False
    if call == "ReleasePool":
        return all(asked["PoolID"] in _pools_of(records[0]) for records in changed.values())
    gone = [records[0] for records in changed.values()]
    return not gone or (
        len(gone) == 1
        and isinstance(gone[0], LeaseRecord)
        and asked["PoolID"] in _pools_of(gone[0])
        and ip_address(gone[0].address) == ip_address(asked["Address"])
    )


def _is_right_pool(
    asked: dict[str, Any], answer: dict[str, Any], before: dict[Any, Record], changed: Any
) -> bool:
    ((_, pool),) = changed.values()
    space, _, subnet = subnet_id_of(answer["PoolID"]).partition("/")
    known = [item.id for item in before.values() if isinstance(item, PoolRecord)]
    others = {subnet_id_of(item) for item in known} - {f"{space}/{subnet}"}
    overlapped = {
        other.partition("/")[0]
        for other in others
        if _overlap(other.partition("/")[2], answer["Pool"])
    }
    text = asked.get("Pool") or ""
    explicit = bool(text) and int(ip_network(text, strict=False).network_address) != 0
    return (
        pool.id == answer["PoolID"]
        and list(answer) == ["PoolID", "Pool", "Data"]
        and subnet == answer["Pool"]
        and space == asked["AddressSpace"]
        and (ip_network(text, strict=False) == ip_network(subnet) if explicit else True)
        and (explicit or answer["PoolID"] not in known)
        and (space not in overlapped if explicit else not overlapped)
    )


def _is_right_address(
    asked: dict[str, Any], answer: dict[str, Any], before: dict[Any, Record], changed: Any
) -> bool:
    subnet_id = subnet_id_of(asked["PoolID"])
    subnet = ip_network(subnet_id.partition("/")[2])
    given, length = answer["Address"].split("/")
    wanted = asked.get("Address")
    key = LeaseKey(subnet_id, given)
    former, lease = changed.get(key, (before.get(key), before.get(key)))
    return (
        changed.keys() <= {key}
        and isinstance(lease, LeaseRecord)
        and lease.released is None
        and (_is_new(former, lease, asked) or _is_asked_for_again(former, lease, asked, before))
        and list(answer) == ["Address", "Data"]
        and int(length) == subnet.prefixlen
        and ip_address(given) in subnet
        and (not wanted or ip_address(wanted) == ip_address(given))
    )


def _is_new(former: Any, lease: LeaseRecord, asked: dict[str, Any]) -> bool:
    """Whether nobody had the address, and now the pool that asked for it has."""
    return (former is None or former.released is not None) and lease.pool == asked["PoolID"]


def _is_asked_for_again(
    former: Any, lease: LeaseRecord, asked: dict[str, Any], before: dict[Any, Record]
) -> bool:
    """Whether it is the gateway that networks share, of which no more have it than have the pool
    that asked."""
    options = asked.get("Options") or {}
    pool = before[PoolKey(asked["PoolID"])]
    assert isinstance(pool, PoolRecord)
    further = lease.sharers[len(former.sharers) :]
    having = _pools_of(lease).count(pool.id)
    return (
        options.get("RequestAddressType") == "com.docker.network.gateway"
        and (pool.shared, former.kind, former.released) == (True, "gateway", None)
        and lease == former._replace(sharers=former.sharers + further)
        and [sharer.pool for sharer in further] in ([], [pool.id])
        and having <= sum(claim.references for claim in pool.claims)
    )


def _pools_of(record: Record) -> list[str]:
    """The pools through which networks have what is recorded."""
    if isinstance(record, LeaseRecord):
        return [record.pool, *(sharer.pool for sharer in record.sharers)]
    return [record.id] if isinstance(record, PoolRecord) else []


def _overlap(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[Fuzzed]:
    """A plugin with a store in memory, which holds something of every kind."""
    store = MemoryStore()
    (tmp_path / "state").mkdir()
    with captured_log() as lines:
        fuzzed = Fuzzed(InProcess(tmp_path, PLAN, store), store, lines, Mutations(seed()))
        fuzzed.plugin.call("GetCapabilities").json()
        fuzzed.begin_anew()
        yield fuzzed


def test_any_body_is_served_correctly_or_refused_without_effect(
    fuzzed: Fuzzed,
) -> None:
    mutations = fuzzed.mutations
    for _ in range(share("bodies")):
        call = mutations.choose.choice(CALLS)
        body = fuzzed.good_body(call)
        match mutations.choose.randrange(8):
            case 0:
                content = mutations.bytes(go_json(body).encode())
            case 1:
                content = mutations.bytes(mutations.members(body).encode())
            case 2:
                content = mutations.json().encode()
            case 3 if mutations.chance(0.1):
                content = mutations.deep().encode()
            case _:
                content = mutations.members(body).encode()
        fuzzed.check(call, content)

    assert fuzzed.served > share("bodies") / 20


def test_any_option_pool_id_address_and_subnet_is_served_correctly_or_refused_without_effect(
    fuzzed: Fuzzed,
) -> None:
    mutations = fuzzed.mutations
    for _ in range(share("values")):
        call = mutations.choose.choice(CALLS)
        body = fuzzed.good_body(call)
        key = mutations.choose.choice([*body, "Options"])
        if key == "Options" and "Options" in body:
            name, value = mutations.choose.choice(OPTIONS)
            body["Options"] = {name: mutations.string(value)}
        elif isinstance(body.get(key), str):
            body[key] = mutations.string(body[key])
        fuzzed.check(call, go_json(body).encode())

    assert fuzzed.served > share("values") / 10


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/Plugin.Activate", {"Implements": ["IpamDriver"]}),
        (
            "/IpamDriver.GetCapabilities",
            {"RequiresMACAddress": False, "RequiresRequestReplay": True},
        ),
        (
            "/IpamDriver.GetDefaultAddressSpaces",
            {"LocalDefaultAddressSpace": "local", "GlobalDefaultAddressSpace": "global"},
        ),
    ],
)
def test_announcing_calls_ignore_any_body(
    fuzzed: Fuzzed, path: str, answer: dict[str, Any]
) -> None:
    held = fuzzed.plugin.known()
    for _ in range(share("announcements") // 3):
        reply = fuzzed.plugin.send("POST", path, fuzzed.mutations.bytes(b'{"Options":{}}\n'))
        assert reply.json() == answer

    assert fuzzed.plugin.known() == held


def test_any_schema_gives_scopes_or_errors_with_their_paths() -> None:
    mutations = Mutations(seed())
    default = DEFAULT_SCHEMA.read_text()
    keys = ["netwrok", "", "a b", "tags", "scopes", "reserved", "reuse_delay", "pre_seed_children"]

    def spoiled_document(text: str) -> str:
        return json.dumps(mutations.document(json.loads(text), keys))

    def spoiled_bytes(text: str) -> str:
        return mutations.bytes(text.encode()).decode("utf-8", "replace")

    def strange(_: str) -> str:
        return mutations.deep() if mutations.chance(0.02) else mutations.json()

    ways: list[Callable[[str], str]] = [spoiled_document, spoiled_document, spoiled_bytes, strange]
    good = 0
    for number in range(share("schemas")):
        text = mutations.choose.choice(ways)(default if number % 20 == 0 else PLAN)
        result = read_schema(text)
        if isinstance(result, ScopeTree):
            good += 1
            continue
        assert result, text
        for error in result:
            assert error.path.startswith("$"), text
            assert error.message, text
            str(error).encode()

    assert good > share("schemas") / 50


def test_any_request_head_is_parsed_or_refused() -> None:
    mutations = Mutations(seed())
    adjustments = Adjustments(listen="", max_request_header_size=16 * 1024)
    good = [
        request_bytes("POST", "/IpamDriver.RequestPool", b"{}\n"),
        b"GET http://pyipam/v1/leases?pool=local/10.0.0.0/24 HTTP/1.1\r\nHost: pyipam\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
        b"POST http://[::1]:80/ HTTP/1.0\r\nContent-Length: 12345678901234567890\r\n\r\n",
    ]
    read = 0
    for _ in range(share("heads")):
        content = mutations.bytes(mutations.choose.choice(good))
        if mutations.chance(0.02):
            content = content.replace(b"1", b"1" * 5000)
        request = Request(adjustments)
        rest = content
        while rest and not request.completed:
            rest = rest[request.received(rest) :]
        read += request.completed and not request.error

    assert read > share("heads") / 50
