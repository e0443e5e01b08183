"""Documents for tests of the schema reader: valid schemas, nearly valid ones, any JSON."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from hypothesis import strategies as st

from pyipam.space.block import Network

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
_noise = st.one_of(
    json_values,
    st.integers(-1, 130),
    st.text(alphabet="0123456789abcdef.:%/-", max_size=12),
    st.sampled_from(["10.0.0.1", "10.0.0.0/8", "fe80::%a", ["a b"], ["10.0.0.9-10.0.0.1"], []]),
)
_roots = st.lists(
    st.sampled_from(
        ["10.0.0.0/8", "100.64.0.0/17", "192.0.2.0/28", "fc00:f00f::/32", "2000::/8"]
    ).map(ip_network),
    max_size=3,
    unique=True,
)


@st.composite
def _scopes(draw: st.DrawFn, network: Network, depth: int = 0) -> dict[str, Any]:
    longest = min(network.prefixlen + 8, network.max_prefixlen - 1)
    child_prefix = draw(st.integers(network.prefixlen, longest))
    size = 1 << (network.max_prefixlen - child_prefix)
    first = int(network.network_address)
    own = st.sampled_from([network.network_address, network.broadcast_address])
    blocks = draw(
        st.lists(
            st.integers(0, min(3, (1 << (child_prefix - network.prefixlen)) - 1)),
            max_size=2 if depth < 2 else 0,
            unique=True,
        )
    )
    children = [
        draw(_scopes(type(network)((first + number * size, child_prefix)), depth + 1))
        for number in blocks
    ]
    optional: dict[str, st.SearchStrategy[Any]] = {
        "tcp_ip_version": st.just(network.version),
        "tags": st.lists(st.sampled_from(["a", "b.c", "D-4", "_"]), max_size=3),
        "propagate_tags": st.booleans(),
        "lock_down": st.booleans(),
        "pre_seed_children": st.booleans(),
        "reserved": st.lists(own.map(str) | st.just(str(network)), max_size=2),
        "reuse_delay": st.integers(0, 10_000) | st.floats(0, 10_000),
        "address_space": st.sampled_from(["local", "global"]),
        "description": st.text(max_size=4),
    }
    keys = draw(st.fixed_dictionaries({}, optional=optional))
    return {
        "network": str(network.network_address),
        "prefix": network.prefixlen,
        "child_prefix": child_prefix,
        **keys,
        **({"scopes": children} if children else {}),
    }


@st.composite
def good_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Valid schemas."""
    return {
        "schema_version": 1,
        "scopes": [draw(_scopes(network)) for network in draw(_roots)],
    }


@st.composite
def near_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Schemas in which one value was replaced, removed or added."""
    document: dict[str, Any] = draw(good_schemas())
    spots = spots_of(document)
    holder, key = draw(st.sampled_from(spots))
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            holder[key] = draw(_noise)
        case "remove":
            del holder[key]
        case _ if isinstance(holder, dict):
            holder[draw(st.sampled_from(["netwrok", "tag", "", "a b"]))] = draw(_noise)
        case _:
            holder.append(draw(_noise | st.just(holder[key])))
    return document


def spots_of(value: Any) -> list[tuple[Any, Any]]:
    """Every member and item of a document, as the object or list that has it, and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found: list[tuple[Any, Any]] = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += spots_of(value[key])
    return found
