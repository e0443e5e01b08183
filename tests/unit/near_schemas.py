"""Documents to try a reader of schemas with: any JSON, and schemas but for a thing or two."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
addresses_or_noise = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number))),
    st.sampled_from(["10.0.0.0", "10.0.128.0", "10.0.0.1", "::", "fc00::", "fc00:1::"]),
    st.text(alphabet="0123456789abcdef.:%/-", max_size=12),
)
prefixes_or_noise = st.one_of(st.integers(-1, 130), json_values)


def near_schemas() -> st.SearchStrategy[Any]:
    """Documents that are schemas, or would be but for a thing or two."""

    def scopes_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.fixed_dictionaries(
            {"network": addresses_or_noise},
            optional={
                "prefix": prefixes_or_noise,
                "child_prefix": prefixes_or_noise,
                "tcp_ip_version": st.sampled_from([4, 6, 5, "4"]),
                "tags": st.lists(st.sampled_from(["a", "b.c", "d e", 1, None]), max_size=3),
                "propagate_tags": st.booleans() | json_values,
                "lock_down": st.booleans() | json_values,
                "pre_seed_children": st.booleans(),
                "reserved": st.lists(addresses_or_noise, max_size=2) | json_values,
                "reuse_delay": st.floats() | st.integers() | json_values,
                "address_space": st.sampled_from(["local", "global", "x", 1]),
                "description": st.text(max_size=4) | json_values,
                "scopes": st.lists(inner, max_size=2),
                "netwrok": json_values,
            },
        )

    scopes = st.recursive(scopes_of(json_values), scopes_of, max_leaves=4)
    return st.fixed_dictionaries(
        {"schema_version": st.just(1) | json_values, "scopes": st.lists(scopes, max_size=3)}
    )
