"""A plan as one JSON file: everything that a store holds, and the schema that was remembered.

    {"title": "pyipam plan", "format": 1, "sha256": "...",
    "plan": {"schema": TEXT or null, "drivers": [...], "pools": [...], "leases": [...]}}

Each record stands on a line of its own, as it is stored (store/documents.py), in the order of its
key: the same plan gives the same bytes. The checksum is that of the plan without blanks.

A pool of the space `local` and a plain driver name belong to the host that the file came from.
In the plan of several hosts `local@NODE` and `driver@NODE` say whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

import orjson

from pyipam.plan.schema import read_schema
from pyipam.plan.schema_rules import member_path, shown
from pyipam.store.documents import to_document, to_record
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import DriverRecord, LeaseRecord, PoolRecord, Record

FORMAT = 1
_TITLE = "pyipam plan"
_HEAD = ("title", "format", "sha256", "plan")
# Every store can keep it, and every reader of JSON reads it as it is.
_LARGEST_NUMBER = 2**53

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Plan:
    """What is moved: the records, pools before the leases in them, and the text of the schema
    that was remembered, if there is one."""

    records: tuple[Record, ...]
    schema: str | None = None


@dataclass(frozen=True)
class PlanError:
    """One thing that is wrong in a file: where (a JSON path), and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def write_plan(plan: Plan) -> bytes:
    """The content of the file."""
    text = bytearray()
    for line in _lines(plan):
        text += line
    head = {"title": _TITLE, "format": FORMAT, "sha256": _checksum(text.replace(b"\n", b""))}
    return b'%s,\n"plan":%s}\n' % (orjson.dumps(head)[:-1], text)


def read_plan(content: bytes) -> Plan | list[PlanError]:
    """The plan in a file, or every error in it."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return [PlanError("$", f"this is no JSON that can be read: {error}")]
    problem = _problem_of_head(document)
    return [problem] if problem is not None else _Reader().read(document["plan"])


def parse_space(name: str) -> tuple[str, str]:
    """The space, or the driver, that a name speaks of, and the node; empty where it names none."""
    what, _, node = name.partition("@")
    return what, node


_KINDS: dict[str, type[Record]] = {
    "drivers": DriverRecord,
    "pools": PoolRecord,
    "leases": LeaseRecord,
}
_KIND_NAMES = {"drivers": "driver", "pools": "pool", "leases": "lease"}


def _lines(plan: Plan) -> Iterator[bytes]:
    yield b'{"schema":%s' % orjson.dumps(plan.schema)
    for name, kind in _KINDS.items():
        records = [record for record in plan.records if isinstance(record, kind)]
        opening = b',\n"%s":[' % name.encode()
        for record in sorted(records, key=_order):
            document = to_document(record)
            del document["kind"]
            yield b"%s\n%s" % (opening, orjson.dumps(document))
            opening = b","
        yield b"]" if records else opening + b"]"
    yield b"}"


def _order(record: Record) -> tuple[str, int]:
    match record:
        case DriverRecord():
            return record.name, 0
        case PoolRecord():
            return record.id, 0
        case LeaseRecord():
            return record.pool, int(ip_address(record.address))


def _checksum(text: bytes | bytearray) -> str:
    return sha256(text).hexdigest()


def _problem_of_head(document: Any) -> PlanError | None:
    """Why nothing else in the document is worth a look."""
    if not isinstance(document, dict) or document.get("title") != _TITLE:
        return PlanError("$.title", f"this is no file that pyipam has exported ({_TITLE!r})")
    if document.get("format") != FORMAT:
        return PlanError(
            "$.format",
            f"the file is of format {shown(document.get('format'))}; this pyipam reads format "
            f"{FORMAT}: use the version that wrote it",
        )
    if set(document) != set(_HEAD):
        return PlanError("$", f"it must have {', '.join(_HEAD)}, and has {', '.join(document)}")
    try:
        sound = document["sha256"] == _checksum(orjson.dumps(document["plan"]))
    except TypeError:
        # Nested more deeply than can be written.
        sound = False
    if sound:
        return None
    return PlanError(
        "$.plan", "it does not agree with its checksum: it was changed or damaged after its export"
    )


@dataclass(frozen=True)
class _Rule:
    """What a member of a record must be, and the words for it."""

    holds: Callable[[Any], bool]
    what: str


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LARGEST_NUMBER


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _LARGEST_NUMBER


def _is_scope(value: Any) -> bool:
    return value == "" or (isinstance(value, str) and _network(value) is not None)


_TEXT = _Rule(lambda value: isinstance(value, str), "a text")
_NAME = _Rule(lambda value: isinstance(value, str) and value != "", "a name")
_NUMBER = _Rule(_is_number, "a whole number from 0 on")
_REFERENCES = _Rule(lambda value: _is_number(value) and value > 0, "a whole number from 1 on")
_TIME = _Rule(_is_time, "a time in seconds")
_RELEASED = _Rule(lambda value: value is None or _is_time(value), "a time in seconds, or null")
_USE = _Rule(
    lambda value: value in ("gateway", "container", "mirror"), '"gateway", "container" or "mirror"'
)
_SCOPE = _Rule(_is_scope, "a network like 10.0.0.0/8, or empty")
_LIST = _Rule(lambda value: isinstance(value, list), "a list")
_SCHEMA = _Rule(lambda value: value is None or isinstance(value, str), "a text, or null")

_PLAN_RULES = {"schema": _SCHEMA, "drivers": _LIST, "pools": _LIST, "leases": _LIST}
_RULES = {
    "drivers": {
        "name": _NAME,
        "engine": _TEXT,
        "local_epoch": _NUMBER,
        "global_epoch": _NUMBER,
    },
    "pools": {
        "id": _NAME,
        "scope": _SCOPE,
        "label": _TEXT,
        "tags": _TEXT,
        "claims": _LIST,
        "created": _TIME,
        "released": _RELEASED,
    },
    "leases": {
        "pool": _NAME,
        "address": _NAME,
        "use": _USE,
        "driver": _NAME,
        "epoch": _NUMBER,
        "granted": _TIME,
        "released": _RELEASED,
    },
}
_CLAIM_RULES = (_NAME, _NUMBER, _REFERENCES)


@dataclass(frozen=True)
class _PoolPlace:
    """What the id of a pool says."""

    space: str
    subnet: Network


class _Reader:
    """Builds a plan from a document, collecting errors."""

    def __init__(self) -> None:
        self._errors: list[PlanError] = []
        self._places: dict[str, _PoolPlace] = {}

    def read(self, document: Any) -> Plan | list[PlanError]:
        if not self._is_sound("$.plan", document, _PLAN_RULES):
            return self._errors
        self._check_schema(document["schema"])
        records = [
            *self._drivers(document["drivers"]),
            *self._pools(document["pools"]),
            *self._leases(document["leases"], document["pools"]),
        ]
        return self._errors or Plan(tuple(records), document["schema"])

    def _error(self, path: str, message: str) -> None:
        self._errors.append(PlanError(path, message))

    def _check_schema(self, schema: str | None) -> None:
        found = [] if schema is None else read_schema(schema)
        for error in found if isinstance(found, list) else []:
            self._error("$.plan.schema", f"the schema is wrong at {error}")

    def _drivers(self, entries: list[Any]) -> Iterator[Record]:
        names: set[str] = set()
        for path, entry in self._sound_entries("drivers", entries):
            if entry["name"] in names:
                self._error(f"{path}.name", f"{shown(entry['name'])} stands there twice")
            names.add(entry["name"])
            yield _record("drivers", entry)

    def _pools(self, entries: list[Any]) -> Iterator[Record]:
        held = []
        for path, entry in self._sound_entries("pools", entries):
            place = _parse_pool_id(entry["id"])
            sound = self._has_sound_claims(path, entry["claims"])
            if place is None:
                self._error(
                    f"{path}.id", f"{shown(entry['id'])} is no pool id: SPACE/SUBNET[/IP-RANGE]"
                )
                continue
            if entry["id"] in self._places:
                self._error(f"{path}.id", f"{entry['id']} stands there twice")
            self._places[entry["id"]] = place
            if entry["claims"]:
                held.append((path, place))
            if sound:
                yield _record("pools", entry)
        self._check_disjoint(held)
        self._check_owners()

    def _has_sound_claims(self, path: str, claims: list[Any]) -> bool:
        """Whether each is [driver, epoch, references], and none is of a driver that has another."""
        drivers: set[str] = set()
        before = len(self._errors)
        for index, claim in enumerate(claims):
            place = f"{path}.claims[{index}]"
            if not isinstance(claim, list) or len(claim) != len(_CLAIM_RULES):
                self._error(place, f"it must be [driver, epoch, references], not {shown(claim)}")
                continue
            for position, (rule, value) in enumerate(zip(_CLAIM_RULES, claim, strict=True)):
                self._check(f"{place}[{position}]", value, rule)
            if str(claim[0]) in drivers:
                self._error(f"{place}[0]", f"{shown(claim[0])} has a claim already")
            drivers.add(str(claim[0]))
        return len(self._errors) == before

    def _check_disjoint(self, pools: Iterable[tuple[str, _PoolPlace]]) -> None:
        """No two pools of one space overlap, but those of the same subnet. (What rests may lie
        where another pool was asked for since.)"""
        widest: tuple[str, _PoolPlace] | None = None
        for path, place in sorted(pools, key=lambda pool: _position(pool[1])):
            if widest is None or not _overlap(widest[1], place):
                widest = (path, place)
            elif widest[1].subnet != place.subnet:
                self._error(
                    f"{path}.id", f"{place.subnet} overlaps {widest[1].subnet} of {widest[0]}"
                )

    def _check_owners(self) -> None:
        spaces = {place.space for place in self._places.values()} - {"global"}
        if "local" in spaces and len(spaces) > 1:
            self._error("$.plan.pools", "some local pools name their node, others do not")

    def _leases(self, entries: list[Any], pools: list[Any]) -> Iterator[Record]:
        wrong_pools = {str(pool.get("id")) for pool in pools if isinstance(pool, dict)}
        keys: dict[tuple[str, str], str] = {}
        for path, entry in self._sound_entries("leases", entries):
            place = self._places.get(entry["pool"])
            if place is None:
                if entry["pool"] not in wrong_pools:
                    self._error(f"{path}.pool", f"{shown(entry['pool'])} is no pool of this file")
                continue
            if not _is_address_in(entry["address"], place.subnet):
                self._error(
                    f"{path}.address",
                    f"{shown(entry['address'])} is no address of its pool, {entry['pool']}",
                )
                continue
            other = keys.setdefault((subnet_id_of(entry["pool"]), entry["address"]), path)
            if other != path:
                self._error(f"{path}.address", f"{entry['address']} is leased already, {other}")
            yield _record("leases", entry)

    def _sound_entries(self, name: str, entries: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        rules = _RULES[name]
        for index, entry in enumerate(entries):
            path = f"$.plan.{name}[{index}]"
            if self._is_sound(path, entry, rules):
                yield path, entry

    def _is_sound(self, path: str, entry: Any, rules: Mapping[str, _Rule]) -> bool:
        """Whether it is an object with these members and no others, each as it must be."""
        if not isinstance(entry, dict):
            self._error(path, f"it must be an object, not {shown(entry)}")
            return False
        before = len(self._errors)
        for key in sorted(entry.keys() - rules.keys()):
            self._error(member_path(path, key), "this member is not known")
        for key, rule in rules.items():
            if key in entry:
                self._check(f"{path}.{key}", entry[key], rule)
            else:
                self._error(f"{path}.{key}", "it is missing")
        return len(self._errors) == before

    def _check(self, path: str, value: Any, rule: _Rule) -> None:
        if not rule.holds(value):
            self._error(path, f"it must be {rule.what}, not {shown(value)}")


def _record(name: str, entry: dict[str, Any]) -> Record:
    return to_record({**entry, "kind": _KIND_NAMES[name]})


def _parse_pool_id(text: str) -> _PoolPlace | None:
    """Where a pool is; None when this is not the id that pyipam writes."""
    space, *parts = text.split("/")
    what, node = parse_space(space)
    networks = [_network("/".join(part)) for part in (parts[:2], parts[2:]) if part]
    subnet = networks[0] if networks else None
    if subnet is None or (len(networks) > 1 and not _is_part(networks[1], subnet)):
        return None
    if space not in ("local", "global") and (what != "local" or not node):
        return None
    return _PoolPlace(space, subnet)


def _network(text: str) -> Network | None:
    """The network that a text names; None when pyipam would write it otherwise."""
    try:
        network = ip_network(text)
    except ValueError:
        return None
    return network if str(network) == text and "%" not in text else None


def _is_part(network: Network | None, whole: Network) -> bool:
    return (
        network is not None
        and network.version == whole.version
        and network.prefixlen >= whole.prefixlen
        and network.overlaps(whole)
    )


def _is_address_in(text: str, network: Network) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return str(address) == text and address in network and "%" not in text


def _position(place: _PoolPlace) -> tuple[str, int, int, int]:
    """In this order, whoever overlaps a later one overlaps the next after it too."""
    network = place.subnet
    return place.space, network.version, int(network.network_address), network.prefixlen


def _overlap(one: _PoolPlace, other: _PoolPlace) -> bool:
    return (
        one.space == other.space
        and one.subnet.version == other.subnet.version
        and one.subnet.overlaps(other.subnet)
    )
