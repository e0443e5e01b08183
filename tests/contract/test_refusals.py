"""Calls that cannot be served: an HTTP error with the sentence in Err, and no change."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.dockerd import (
    GATEWAY,
    Driver,
    Engine,
    Pool,
    create_network,
    go_json,
    pool_request,
    request_bytes,
    start_container,
)
from tests.support.program import Program

CALLS = ["RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress"]


@pytest.fixture
def unchanged(driver: Driver) -> Iterator[Driver]:
    """A plugin in which something is held, and nothing changes by the test."""
    network = create_network(driver, "100.64.5.0/24")
    start_container(driver, network)

    def state() -> list[object]:
        return [driver.get("/v1/pools"), driver.get(f"/v1/leases?pool={network.pool.id}")]

    before = state()
    yield driver
    assert state() == before


# Bodies


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", ["", "\n", "  \r\n"])
def test_an_empty_body_is_what_follows_a_call_that_was_cut_off(
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
        pytest.param("{", id="cut-json"),
        pytest.param("nonsense", id="no-json"),
        pytest.param("[]", id="list"),
        pytest.param("null", id="null"),
        pytest.param('"text"', id="text"),
        pytest.param('{"PoolID":7}', id="number-for-text"),
        pytest.param('{"PoolID":{},"AddressSpace":[]}', id="object-for-text"),
        pytest.param('{"AddressSpace":"local","Pool":"100.64.0.0","V6":"yes"}', id="text-for-flag"),
        pytest.param('{"PoolID":"\\ud800"}', id="half-a-character"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"PoolID":"local/100.64.9.0/24","Address":"x"}', id="no-address"),
        pytest.param('{"PoolID":"x","Address":"1.2.3.4/5","Pool":"y"}', id="no-pool"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_or_names_nothing_that_is_held(
    unchanged: Driver, call: str, body: str
) -> None:
    reply = unchanged.post(f"IpamDriver.{call}", body)

    if reply.status == 200:
        assert call.startswith("Release")
    else:
        assert reply.status in (400, 404)
        assert reply.error()


@pytest.mark.parametrize("call", CALLS)
def test_bytes_that_are_no_text_are_refused(unchanged: Driver, call: str) -> None:
    assert unchanged.raw("POST", f"/IpamDriver.{call}", b'{"PoolID":"\xff"}').status == 400


@pytest.mark.parametrize("size", [256 * 1024 + 1, 1 << 20])
@pytest.mark.parametrize("call", CALLS)
def test_a_body_that_is_too_large_is_refused(
    shared_program: Program, shared_engine: Engine, unchanged: Driver, call: str, size: int
) -> None:
    body = json.dumps({"PoolID": "x" * size}).encode()
    stranger = shared_program.driver(shared_engine)
    with contextlib.suppress(BrokenPipeError):
        # The answer may come, and the connection be closed, before all of it is sent.
        stranger.send(request_bytes("POST", f"/IpamDriver.{call}", body))

    reply = stranger.read()

    assert reply.status in (400, 413)
    assert "large" in reply.error().lower()


def test_a_body_may_be_long(driver: Driver) -> None:
    options = {"id": "x" * 200_000}

    assert driver.request_pool(options=options).subnet == "100.64.0.0/30"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (pool_request("ten"), "subnet 'ten' cannot be read"),
        (pool_request("100.64.0.0/33"), "subnet '100.64.0.0/33' cannot be read"),
        (pool_request("0.0.0.0/0"), "the whole IPv4 address space"),
        (pool_request("0.0.0.0/27", space="global"), "--ipam-opt prefix=27"),
        (pool_request("100.64.0.0"), "subnet '100.64.0.0' cannot be read"),
        (pool_request("fe80::%eth0/64"), "subnet 'fe80::%eth0/64' cannot be read"),
        (pool_request("100.64.0.0/24", "x"), "ip-range 'x' cannot be read"),
        (pool_request("100.64.0.0/24", "100.64.1.0/26"), "is not inside subnet 100.64.0.0/24"),
        (pool_request("100.64.0.0/24", "fc00::/64"), "is not inside subnet 100.64.0.0/24"),
        (pool_request("", "100.64.1.0/26"), "needs a subnet that it is in"),
        (pool_request(space="moon"), "address space 'moon' is none of pyipam's: local, global"),
        (pool_request(space=""), "address space '' is none of pyipam's: local, global"),
        (pool_request(options={"scope_filter_tags": "a b"}), "scope_filter_tags='a b'"),
        (pool_request(options={"prefix": "x"}), "prefix='x' cannot be read"),
        (pool_request(options={"prefix": "0"}), "prefix='0' cannot be read"),
        (pool_request(options={"prefix": "129"}), "prefix='129' cannot be read"),
        (pool_request(options={"prefix": "9" * 5000}), "cannot be read"),
        (pool_request(options={"prefix": "28,29"}), "names two lengths for IPv4"),
    ],
)
def test_a_pool_that_cannot_be_understood_is_refused_with_what_was_asked(
    unchanged: Driver, request_: dict[str, object], why: str
) -> None:
    reply = unchanged.call("RequestPool", request_)

    assert reply.status == 400
    assert why in reply.error()


def test_options_that_are_no_texts_are_refused(unchanged: Driver) -> None:
    body = '{"AddressSpace":"local","Options":{"prefix":28}}\n'

    error = unchanged.post("IpamDriver.RequestPool", body).error()

    assert error == "Options of the request must be an object of texts"


# What is asked for


def test_a_container_on_a_full_network_is_refused_with_what_would_help(driver: Driver) -> None:
    network = create_network(driver)
    start_container(driver, network)

    reply = driver.call("RequestAddress", {"PoolID": network.pool.id, "Address": ""})

    assert reply.status == 409
    assert reply.error().startswith("pool local/100.64.0.0/30 has no free address: ")
    assert "--ipam-opt prefix=LENGTH" in reply.error()


def test_tags_that_no_scope_carries_are_refused_with_those_there_are(unchanged: Driver) -> None:
    reply = unchanged.call("RequestPool", pool_request(options={"scope_filter_tags": "dmz"}))

    assert reply.status == 422
    assert reply.error() == (
        "no scope of the schema serves an IPv4 network with tags 'dmz'; the tags of the IPv4 "
        "scopes that can be drawn from are: default, egress, externally_routed, general_purpose, "
        "host_to_container, ingress, internally_routed, null_routed, python_docker_ipam_default"
    )


def test_a_subnet_outside_every_scope_is_refused_with_the_scopes(unchanged: Driver) -> None:
    reply = unchanged.call("RequestPool", pool_request("192.168.7.0/24"))

    assert reply.status == 422
    assert "subnet 192.168.7.0/24 is outside of every scope" in reply.error()
    assert "100.64.0.0/17" in reply.error()
    assert "ALLOW_UNMANAGED=true" in reply.error()


def test_a_subnet_that_overlaps_a_held_one_is_refused_with_who_holds_it(driver: Driver) -> None:
    driver.request_pool("100.64.5.0/24", options={"id": "first"})

    reply = driver.call("RequestPool", pool_request("100.64.5.128/25"))

    assert reply.status == 409
    assert "subnet 100.64.5.128/25 overlaps pool local/100.64.5.0/24 (id first)" in reply.error()


@pytest.mark.parametrize(
    ("address", "status", "why"),
    [
        (
            "100.64.5.1",
            409,
            "address 100.64.5.1 of pool local/100.64.5.0/24 has been in use since 20",
        ),
        ("100.64.5.0", 400, "is the network address of 100.64.5.0/24"),
        ("100.64.5.255", 400, "is the broadcast address of 100.64.5.0/24"),
        ("100.64.6.1", 400, "is outside the pool's subnet 100.64.5.0/24"),
        ("fc00::1", 400, "is outside the pool's subnet 100.64.5.0/24"),
        ("100.64.5.1/24", 400, "address '100.64.5.1/24' cannot be read"),
        ("::1%eth0", 400, "address '::1%eth0' cannot be read"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused_with_the_reason(
    unchanged: Driver, address: str, status: int, why: str
) -> None:
    body = {"PoolID": "local/100.64.5.0/24", "Address": address, "Options": None}

    reply = unchanged.call("RequestAddress", body)

    assert reply.status == status
    assert why in reply.error()


@pytest.mark.parametrize(
    "pool_id", ["", "local/100.64.9.0/24", "pylocal-1", "local/x", "a/b/c/d/e"]
)
@pytest.mark.parametrize("options", [None, GATEWAY])
def test_an_address_of_a_pool_that_is_not_held_is_refused_with_the_way_out(
    unchanged: Driver, pool_id: str, options: dict[str, str] | None
) -> None:
    body = {"PoolID": pool_id, "Address": "", "Options": options}

    reply = unchanged.call("RequestAddress", body)

    assert reply.status == 404
    assert f"pool {pool_id!r} is not held by pyipam" in reply.error()
    assert "remove the network and create it again" in reply.error()


# HTTP


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/IpamDriver.Nonsense", 404),
        ("POST", "/", 404),
        ("POST", "/NetworkDriver.CreateNetwork", 404),
        ("POST", "/v1/nonsense", 404),
        ("GET", "/v1/", 404),
        ("GET", "/IpamDriver.RequestPool", 405),
        ("DELETE", "/IpamDriver.ReleasePool", 405),
        ("POST", "/v1/status", 405),
        ("PUT", "/Plugin.Activate", 405),
    ],
)
def test_what_is_not_served_is_an_error_that_says_so(
    unchanged: Driver, method: str, target: str, status: int
) -> None:
    reply = unchanged.raw(method, target)

    assert reply.status == status
    assert reply.error().startswith(f"{method} {target}: {status}")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no-request"),
        pytest.param(b"POST /IpamDriver.RequestPool\r\n\r\n", 400, id="no-version"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, id="no-length"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, id="negative"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            400,
            id="huge-length",
        ),
        pytest.param(b"POST http://[/ HTTP/1.1\r\n\r\n", 400, id="half-an-ipv6-address"),
        # What would keep the expressions of waitress busy for minutes, and everybody waiting.
        pytest.param(b"POST a://" + b"1" * 16_000 + b" x\r\n\r\n", 400, id="long-line"),
        pytest.param(b"POST / HTTP/1.1\r\nA:" + b" \t" * 8_000 + b"b\r\n\r\n", 400, id="blanks"),
        pytest.param(
            b"POST / HTTP/1.1\r\nA:b" + b"\r\n      " * 2_000 + b"b\r\n\r\n",
            400,
            id="folded-blanks",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nno header\r\n\r\n", 400, id="no-header"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431, id="many-headers"
        ),
        pytest.param(b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", 431, id="long-target"),
    ],
)
def test_what_is_no_http_gets_an_answer_and_the_connection_is_closed(
    shared_program: Program,
    shared_engine: Engine,
    unchanged: Driver,
    content: bytes,
    status: int,
) -> None:
    stranger = shared_program.driver(shared_engine)
    # What is too long may be answered, and the connection closed, before the last byte has gone.
    with contextlib.suppress(BrokenPipeError):
        stranger.send(content)

    reply = stranger.read()

    assert reply.status == status
    assert reply.error()
    with pytest.raises((EOFError, ConnectionError)):
        stranger.read()


@pytest.mark.parametrize("cut", [1, 20, 100, 170, -5, -1])
def test_a_request_that_is_never_finished_changes_nothing(
    shared_program: Program, shared_engine: Engine, unchanged: Driver, cut: int
) -> None:
    body = go_json(pool_request("100.64.9.0/24")).encode()
    request = request_bytes("POST", "/IpamDriver.RequestPool", body)
    stranger = shared_program.driver(shared_engine)

    stranger.send(request[:cut])
    stranger.close()

    assert unchanged.call("GetDefaultAddressSpaces").status == 200


def test_a_client_that_does_not_wait_for_the_answer_disturbs_nobody(
    shared_program: Program, shared_engine: Engine, unchanged: Driver
) -> None:
    for _ in range(20):
        hasty = shared_program.driver(shared_engine)
        hasty.send(request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces") * 50)
        hasty.close()

    assert unchanged.call("GetDefaultAddressSpaces").status == 200


# Refusals are kept


def test_refusals_are_kept_for_the_status(driver: Driver) -> None:
    error = driver.pool_error("192.168.7.0/24")

    refusal = driver.get("/v1/status")["refusals"][-1]

    assert refusal["call"] == "IpamDriver.RequestPool"
    assert refusal["message"] == error
    assert refusal["time"] > 1_600_000_000


def test_the_last_hundred_refusals_are_kept(driver: Driver) -> None:
    errors = [driver.pool_error(f"192.168.{n}.0/24") for n in range(105)]

    refusals = driver.get("/v1/status")["refusals"]

    assert [refusal["message"] for refusal in refusals] == errors[-100:]


def test_a_refusal_of_something_long_is_shortened_in_the_middle(driver: Driver) -> None:
    """A hundred of them are kept, and each stands in the log."""
    error = driver.address_error(Pool("x" * 200_000, ""))

    assert error.startswith("pool 'xxxx")
    assert " [...] " in error
    assert error.endswith("remove the network and create it again")
    assert len(error) < 10_000


def test_a_question_about_what_is_not_there_is_no_refusal(driver: Driver) -> None:
    before = driver.get("/v1/status")["refusals"]

    reply = driver.raw("GET", "/v1/leases?pool=local/100.64.9.0/24")

    assert reply.status == 404
    assert "is not held" in reply.error()
    assert driver.get("/v1/status")["refusals"] == before


# Anything


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
