"""What a full routing table costs a request for a block: all of it lies outside of the plan.

Needs a network namespace of its own: `sudo unshare --net .venv/bin/python -m bench.routes`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Policy
from pyipam.driver_names import MAIN_DRIVER
from pyipam.host.kernel_routes import open_host_routes
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.store.memory import MemoryStore

ROUTES = 900_000
REQUESTS = 5_000
_SCHEMA = """
{"schema_version": 1, "scopes": [{"network": "100.64.0.0", "prefix": 10, "child_prefix": 24}]}
"""


def main() -> None:
    """Print the time of a request without routes, while they come, and with them."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "lan", "type", "veth", "peer", "name", "far")
    for link in ("lan", "far"):
        _ip("link", "set", link, "up")
    with _plugin() as ipam:
        _report("no route", [_request(ipam) for _ in range(REQUESTS)])
        with subprocess.Popen(["ip", "-batch", "/dev/stdin"], stdin=subprocess.PIPE) as adding:
            assert adding.stdin is not None
            times = []
            for number in range(ROUTES):
                adding.stdin.write(b"route add %s dev lan\n" % _outside(number))
                if number % 100 == 0:
                    times.append(_request(ipam))
            adding.stdin.close()
        _report(f"while {ROUTES:,} routes come", times)
        _report("with them", [_request(ipam) for _ in range(REQUESTS)])
    with _plugin() as ipam:
        _report("after a start with them", [_request(ipam) for _ in range(REQUESTS)])


@contextmanager
def _plugin() -> Iterator[Ipam]:
    tree = read_schema(_SCHEMA)
    assert isinstance(tree, ScopeTree)
    with closing(open_host_routes()) as routes:
        ipam = Ipam(MemoryStore(), Policy(), Clock(time.time, time.monotonic), routes)
        ipam.load(tree)
        yield ipam


def _request(ipam: Ipam) -> float:
    """Ask for a block and give it back; the seconds of processor time that the request took."""
    begun = time.thread_time()
    (pool,) = ipam.commit([lambda: ipam.request_pool(PoolRequest(MAIN_DRIVER, "local", 4))])
    taken = time.thread_time() - begun
    ipam.commit([lambda: ipam.release_pool(MAIN_DRIVER, pool)])
    return taken


def _report(what: str, times: list[float]) -> None:
    ordered = sorted(times)
    median, high = (ordered[len(ordered) * part // 100] * 1e6 for part in (50, 99))
    print(f"{what}: p50 {median:.0f} us, p99 {high:.0f} us, longest {ordered[-1] * 1e6:.0f} us")


def _outside(number: int) -> bytes:
    """A /24 from 20.0.0.0 on."""
    return b"%d.%d.%d.0/24" % (20 + (number >> 16), number >> 8 & 255, number & 255)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


if __name__ == "__main__":
    main()
