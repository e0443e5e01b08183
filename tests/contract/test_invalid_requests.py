"""Requests that cannot be understood are refused with a sentence, and change nothing."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.dockerd import (
    Driver,
    Engine,
    pool_request,
    request_bytes,
)
from tests.support.program import Program

CALLS = ["RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", ["", "\n", "  \r\n"])
def test_an_empty_body_is_refused_as_the_retry_of_an_interrupted_call(
    unchanged: Driver, call: str, body: str
) -> None:
    reply = unchanged.post(f"IpamDriver.{call}", body)

    assert reply.status == 400
    assert reply.error() == (
        "the request is empty: the call before it was cut off; try the command again"
    )


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{", id="truncated"),
        pytest.param("nonsense", id="not-json"),
        pytest.param("[]", id="list"),
        pytest.param("null", id="null"),
        pytest.param('"text"', id="string"),
        pytest.param('{"PoolID":7}', id="number-for-string"),
        pytest.param('{"PoolID":{},"AddressSpace":[]}', id="object-for-string"),
        pytest.param(
            '{"AddressSpace":"local","Pool":"100.64.0.0","V6":"yes"}', id="string-for-boolean"
        ),
        pytest.param('{"PoolID":"\\ud800"}', id="lone-surrogate"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"PoolID":"local/100.64.9.0/24","Address":"x"}', id="invalid-address"),
        pytest.param('{"PoolID":"x","Address":"1.2.3.4/5","Pool":"y"}', id="invalid-pool"),
    ],
)
def test_a_malformed_body_is_refused_or_releases_nothing(
    unchanged: Driver, call: str, body: str
) -> None:
    reply = unchanged.post(f"IpamDriver.{call}", body)

    if reply.status == 200:
        assert call.startswith("Release")
    else:
        assert reply.status in (400, 404)
        assert reply.error()


@pytest.mark.parametrize("call", CALLS)
def test_a_body_that_is_not_utf_8_is_refused(unchanged: Driver, call: str) -> None:
    assert unchanged.raw("POST", f"/IpamDriver.{call}", b'{"PoolID":"\xff"}').status == 400


@pytest.mark.parametrize("size", [256 * 1024 + 1, 1 << 20])
@pytest.mark.parametrize("call", CALLS)
def test_a_body_that_is_too_large_is_refused(
    shared_program: Program, shared_engine: Engine, unchanged: Driver, call: str, size: int
) -> None:
    body = json.dumps({"PoolID": "x" * size}).encode()
    stranger = shared_program.driver(shared_engine)
    with contextlib.suppress(BrokenPipeError):
        # The plugin may answer, and close the connection, before all of it is sent.
        stranger.send(request_bytes("POST", f"/IpamDriver.{call}", body))

    reply = stranger.read()

    assert reply.status in (400, 413)
    assert "large" in reply.error().lower()


def test_a_body_of_200_kilobytes_is_accepted(driver: Driver) -> None:
    options = {"id": "x" * 200_000}

    assert driver.request_pool(options=options).subnet == "100.64.0.0/30"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (pool_request("ten"), "subnet 'ten' cannot be read"),
        (pool_request("100.64.0.0/33"), "subnet '100.64.0.0/33' cannot be read"),
        (pool_request("0.0.0.0/0"), "the whole IPv4 address space"),
        (pool_request("0.0.0.0/27"), "--ipam-opt prefix=27"),
        (pool_request("0.0.0.0/27", space="global"), "--ipam-opt prefix=27"),
        (pool_request("::/72", v6=True), "--ipam-opt prefix=72"),
        (pool_request("100.64.0.0"), "subnet '100.64.0.0' cannot be read"),
        (pool_request("fe80::%eth0/64"), "subnet 'fe80::%eth0/64' cannot be read"),
        (pool_request("100.64.0.0/24", "x"), "ip-range 'x' cannot be read"),
        (pool_request("100.64.0.0/24", "100.64.1.0/26"), "is not inside subnet 100.64.0.0/24"),
        (pool_request("100.64.0.0/24", "fc00::/64"), "is not inside subnet 100.64.0.0/24"),
        (pool_request("", "100.64.1.0/26"), "needs a subnet that contains it"),
        (
            pool_request(space="moon"),
            "address space 'moon' is unknown; pyipam has local and global",
        ),
        (pool_request(space=""), "address space '' is unknown; pyipam has local and global"),
        (pool_request(options={"scope_filter_tags": "a b"}), "scope_filter_tags='a b'"),
        (pool_request(options={"prefix": "x"}), "prefix='x' cannot be read"),
        (pool_request(options={"prefix": "0"}), "prefix='0' cannot be read"),
        (pool_request(options={"prefix": "129"}), "prefix='129' cannot be read"),
        (pool_request(options={"prefix": "9" * 5000}), "cannot be read"),
        (pool_request(options={"prefix": "28,29"}), "names two lengths for IPv4"),
        (pool_request(options={"shared": "yes"}), "shared='yes' cannot be read"),
        (pool_request(options={"tags": "ingress"}), "did you mean 'scope_filter_tags'"),
        (pool_request("100.64.9.0/24", options={"Prefix": "2"}), "did you mean 'prefix'"),
    ],
)
def test_an_invalid_pool_request_is_refused_with_the_reason(
    unchanged: Driver, request_: dict[str, object], why: str
) -> None:
    reply = unchanged.call("RequestPool", request_)

    assert reply.status == 400
    assert why in reply.error()


def test_options_that_are_not_strings_are_refused(unchanged: Driver) -> None:
    body = '{"AddressSpace":"local","Options":{"prefix":28}}\n'

    error = unchanged.post("IpamDriver.RequestPool", body).error()

    assert error == "Options of the request must be an object of strings"


# Any JSON


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
subnets = st.sampled_from(
    ["", "100.64.5.0/24", "0.0.0.0/28", "::/72", "fc00:f00f::/64", "10.0.0.0/8", "x", "1.2.3.4"]
)
plausible_bodies = st.fixed_dictionaries(
    {},
    optional={
        "AddressSpace": st.sampled_from(["local", "global", ""]) | json_values,
        "Pool": subnets | json_values,
        "SubPool": subnets | json_values,
        "PoolID": st.sampled_from(["local/100.64.0.0/30", "global/::/0", "x", ""]) | json_values,
        "Address": st.sampled_from(["100.64.0.1", "100.64.0.9", "::", ""]) | json_values,
        "Options": st.dictionaries(
            st.sampled_from(["prefix", "scope_filter_tags", "id", "RequestAddressType", "x"]),
            st.text(max_size=5) | st.sampled_from(["28", "28,72", "ingress", "a b"]) | json_values,
        )
        | json_values,
        "V6": st.booleans() | json_values,
    },
)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(call=st.sampled_from(CALLS), body=plausible_bodies | json_values)
def test_any_json_gets_an_answer_that_docker_understands(
    driver: Driver, call: str, body: object
) -> None:
    reply = driver.raw("POST", f"/IpamDriver.{call}", json.dumps(body).encode())

    if reply.status == 200:
        assert isinstance(reply.json(), dict)
    else:
        assert 400 <= reply.status < 500
        assert reply.error()
