"""dockerd as the plugin sees it: the process that connects, and the bytes that it sends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import parse_headers
from pathlib import Path
from typing import Any

from tests.support.pages import whole

CALL_TIMEOUT_SECONDS = 60.0
GATEWAY = {"RequestAddressType": "com.docker.network.gateway"}
SERIAL = {"com.docker.network.ipam.serial": "true"}

_CONNECTOR = Path(__file__).with_name("connector.py")


class Engine:
    """One run of dockerd: a separate process, which makes the connections."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_CONNECTOR), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )

    def connect(self, path: Path) -> socket.socket:
        """A new connection to the socket at this path. Raises OSError."""
        self._channel.send(bytes(path))
        answer, descriptors, _, _ = socket.recv_fds(self._channel, 16, 1)
        if not descriptors:
            number = int(answer)
            raise OSError(number, os.strerror(number), str(path))
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(CALL_TIMEOUT_SECONDS)
        return connection

    def stop(self) -> None:
        """End the run. The next one is another process."""
        self._channel.close()
        self._process.wait(CALL_TIMEOUT_SECONDS)


@dataclass(frozen=True)
class Reply:
    """An answer, as it was received. The names of the headers are in small letters."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The content of a successful answer."""
        assert self.status == 200, f"{self.status} {self.body.decode()}"
        return json.loads(self.body)

    def error(self) -> str:
        """The message of a refusal, where Docker expects it."""
        assert self.status != 200, self.body.decode()
        assert self.content_type == "application/json"
        answer = json.loads(self.body)
        assert list(answer) == ["Err"]
        return str(answer["Err"])


@dataclass(frozen=True)
class Pool:
    """What RequestPool gave."""

    id: str
    subnet: str


class Driver:
    """A driver name as dockerd uses it: one connection that is kept alive."""

    def __init__(self, connection: socket.socket, host: str = "") -> None:
        """`host` is what this release of dockerd writes into the header Host."""
        self._connection = connection
        self._host = host
        self._answers = connection.makefile("rb")

    def close(self) -> None:
        self._answers.close()
        self._connection.close()

    def send(self, content: bytes) -> None:
        """Send these bytes."""
        self._connection.sendall(content)

    def read(self) -> Reply:
        """Read an answer. Raises EOFError when the plugin has closed the connection."""
        first = self._answers.readline().decode()
        if not first:
            raise EOFError
        _, status, _ = first.split(" ", 2)
        headers = parse_headers(self._answers)
        body = self._answers.read(int(headers["Content-Length"]))
        named = {name.lower(): value for name, value in headers.items()}
        return Reply(int(status), headers.get_content_type(), body, named)

    def raw(self, method: str, target: str, body: bytes = b"", length: int | None = None) -> Reply:
        """Send a request with exactly the headers that dockerd sends; the answer."""
        self.send(request_bytes(method, target, body, length, self._host))
        return self.read()

    def post(self, call: str, body: str = "") -> Reply:
        """Send a call with this body, unchanged; the answer."""
        return self.raw("POST", f"/{call}", body.encode())

    def call(self, name: str, body: Mapping[str, Any] | None = None) -> Reply:
        """Send a call of the driver with a body as dockerd writes it; the answer."""
        return self.post(f"IpamDriver.{name}", "" if body is None else go_json(body))

    def announce(self) -> None:
        """Ask for the capabilities, as every engine does first."""
        self.call("GetCapabilities").json()
        self.call("GetDefaultAddressSpaces").json()

    def request_pool(self, subnet: str = "", **rest: Any) -> Pool:
        return pool_of(self.call("RequestPool", pool_request(subnet, **rest)))

    def pool_error(self, subnet: str = "", **rest: Any) -> str:
        return self.call("RequestPool", pool_request(subnet, **rest)).error()

    def request_address(
        self, pool: Pool, address: str = "", options: Mapping[str, str] | None = None
    ) -> str:
        """The address that was given, with its prefix length."""
        body = {"PoolID": pool.id, "Address": address, "Options": options}
        answer = self.call("RequestAddress", body).json()
        assert list(answer) == ["Address", "Data"]
        return str(answer["Address"])

    def address_error(
        self, pool: Pool, address: str = "", options: Mapping[str, str] | None = None
    ) -> str:
        body = {"PoolID": pool.id, "Address": address, "Options": options}
        return self.call("RequestAddress", body).error()

    def release_address(self, pool: Pool, address: str) -> None:
        body = {"PoolID": pool.id, "Address": address.partition("/")[0]}
        assert self.call("ReleaseAddress", body).json() == {}

    def release_pool(self, pool: Pool) -> None:
        assert self.call("ReleasePool", {"PoolID": pool.id}).json() == {}

    def get(self, target: str) -> Any:
        """The content of a read-only view; of a list, all of it."""
        return whole(lambda page: self.raw("GET", page).json(), target)

    def held(self) -> list[str]:
        """The PoolIDs that are held."""
        return sorted(pool["id"] for pool in self.get("/v1/pools") if not pool["resting"])

    def leases(self, pool: Pool) -> list[str]:
        """The addresses that are leased in a pool."""
        leases = self.get(f"/v1/leases?pool={pool.id}")
        return [lease["address"] for lease in leases if not lease["resting"]]

    def unclaimed(self, pool: Pool) -> list[str]:
        """The leased addresses that Docker has not claimed in the present epoch."""
        leases = self.get(f"/v1/leases?pool={pool.id}")
        unclaimed = (lease for lease in leases if not lease["claimed"])
        return [lease["address"] for lease in unclaimed if not lease["resting"]]

    def references(self, pool: Pool) -> int:
        """How many networks hold a pool."""
        (count,) = [p["references"] for p in self.get("/v1/pools") if p["id"] == pool.id]
        return int(count)


def request_bytes(
    method: str, target: str, body: bytes = b"", length: int | None = None, host: str = ""
) -> bytes:
    """A request as dockerd's HTTP client writes it."""
    head = (
        f"{method} {target} HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "User-Agent: Go-http-client/1.1\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n"
        "Accept: application/vnd.docker.plugins.v1.2+json\r\n"
        "\r\n"
    )
    return head.encode() + body


def go_json(body: Mapping[str, Any]) -> str:
    """A body as dockerd writes it: one line."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False) + "\n"


def pool_request(
    subnet: str = "",
    ip_range: str = "",
    options: Mapping[str, str] | None = None,
    v6: bool = False,
    space: str = "local",
) -> dict[str, Any]:
    """The body of a RequestPool."""
    return {
        "AddressSpace": space,
        "Pool": subnet,
        "SubPool": ip_range,
        "Options": options,
        "V6": v6,
    }


def pool_of(reply: Reply) -> Pool:
    """The pool in an answer to RequestPool."""
    answer = reply.json()
    assert list(answer) == ["PoolID", "Pool", "Data"]
    return Pool(answer["PoolID"], answer["Pool"])


@dataclass
class Network:
    """A network as dockerd remembers it: its pools with their gateways, and the addresses of its
    containers."""

    gateways: dict[Pool, str]
    containers: list[dict[Pool, str]]
    options: Mapping[str, str] | None

    @property
    def subnets(self) -> list[str]:
        return [pool.subnet for pool in self.gateways]

    @property
    def pool(self) -> Pool:
        """The only pool."""
        (pool,) = self.gateways
        return pool

    def pool_of(self, family: int) -> Pool:
        """The pool of this family."""
        (pool,) = [pool for pool in self.gateways if (":" in pool.subnet) == (family == 6)]
        return pool


def create_network(
    driver: Driver,
    subnet: str = "",
    options: Mapping[str, str] | None = None,
    families: Iterable[int] = (4,),
) -> Network:
    """Request what `docker network create` makes dockerd request."""
    gateways = {}
    for family in families:
        pool = driver.request_pool(subnet, options=options, v6=family == 6)
        gateways[pool] = driver.request_address(pool, options=GATEWAY)
    return Network(gateways, [], options)


def start_container(driver: Driver, network: Network) -> list[str]:
    """Request what `docker start` makes dockerd request; the addresses."""
    container = {pool: driver.request_address(pool) for pool in network.gateways}
    network.containers.append(container)
    return list(container.values())


def remove_network(driver: Driver, network: Network) -> None:
    """Release what `docker network rm` makes dockerd release."""
    for pool, gateway in network.gateways.items():
        driver.release_address(pool, gateway)
        driver.release_pool(pool)


def replay(driver: Driver, network: Network) -> None:
    """Request what dockerd requests again when it starts: the network and all its endpoints."""
    for pool, gateway in network.gateways.items():
        again = driver.request_pool(pool.subnet, options=network.options, v6=":" in pool.subnet)
        assert again == pool
        address = gateway.partition("/")[0]
        assert driver.request_address(pool, address, GATEWAY) == gateway
    for container in network.containers:
        for pool, address in container.items():
            assert driver.request_address(pool, address.partition("/")[0]) == address


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """A run of dockerd that ends with the block at the latest."""
    run = Engine()
    try:
        yield run
    finally:
        run.stop()
