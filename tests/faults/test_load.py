"""Load: every call at once from sixty-four connections, beside everything that clients do wrong.

Well-behaved clients get correct answers only: no address twice, released ones again, no error that
they did not cause. Meanwhile others send a byte now and then, disconnect, never finish a request,
send megabytes or garbage. Afterwards the process has the threads, the descriptors and the pools
that it had before, and it has never used more memory than all of that can explain.

LOAD_SECONDS sets the duration, LOAD_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from tests.faults.mischief import Mischief
from tests.support.dockerd import GATEWAY, Driver, Engine, Pool
from tests.support.program import Program, scope, wait_until

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
CLIENTS = 64
MISCHIEVOUS = 12
SHARED = "10.200.0.0/22"

# What may be buffered for clients at one time: for each of sixty unfinished ones either a body of
# 256 KiB, twice while it grows, or thirty views of about 30 KiB that nobody reads.
MEGABYTE = 1024 * 1024
MOST_GROWTH_BYTES = 64 * MEGABYTE


class Held:
    """What the clients have been given, and have not begun to release."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: set[IPv4Network | IPv6Network] = set()
        self._addresses: set[str] = set()

    @contextmanager
    def block(self, subnet: str) -> Iterator[None]:
        """While the block runs, nobody else may be given a part of this subnet."""
        network = ip_network(subnet)
        with self._lock:
            overlapped = [
                block
                for block in self._blocks
                if block.version == network.version and block.overlaps(network)
            ]
            assert not overlapped, f"{subnet} was given while {overlapped} were held"
            self._blocks.add(network)
        yield
        with self._lock:
            self._blocks.remove(network)

    def take(self, address: str) -> None:
        """Note that an address of the shared pool was given."""
        with self._lock:
            assert address not in self._addresses, f"{address} was given twice"
            self._addresses.add(address)

    def give_back(self, address: str) -> None:
        """Note that it is about to be released."""
        with self._lock:
            self._addresses.remove(address)


class Client:
    """A well-behaved connection."""

    def __init__(self, driver: Driver, number: int, seed: int, held: Held) -> None:
        self._driver = driver
        self._choose = random.Random(seed)
        self._held = held
        self._own_subnet = f"10.100.{number}.0/24"
        self.done = 0

    def live_until(self, end: float) -> None:
        """Do one thing after the other until that time (monotonic); each leaves nothing held."""
        things: list[Callable[[], None]] = [
            self.live_as_a_network,
            self.live_as_a_network,
            self.use_the_shared_network,
            self.use_the_shared_network,
            self.ask_for_an_own_subnet,
            self.fill_a_small_network,
            self.announce,
            self.ask_for_what_cannot_be_had,
            self.look_around,
        ]
        while time.monotonic() < end:
            self._choose.choice(things)()
            self.done += 1

    def live_as_a_network(self) -> None:
        v6 = self._choose.random() < 0.3
        options: dict[str, str] = {"scope_filter_tags": "wide"}
        if not v6 and self._choose.random() < 0.5:
            options = {"prefix": "27"}
        space = self._choose.choice(["local", "global"])
        pool = self._driver.request_pool(options=options, v6=v6, space=space)
        with self._held.block(pool.subnet):
            gateway = self._driver.request_address(pool, "", GATEWAY)
            addresses = [gateway, *self._some_addresses(pool)]
            network = ip_network(pool.subnet)
            assert addresses == [
                f"{network[number + 1]}/{network.prefixlen}" for number in range(len(addresses))
            ]
            given_back = self._choose.choice(addresses)
            self._driver.release_address(pool, given_back)
            assert self._driver.request_address(pool) == given_back
            leased = [address.partition("/")[0] for address in addresses]
            assert self._driver.leases(pool) == leased
            if self._choose.random() < 0.5:
                for address in addresses:
                    self._driver.release_address(pool, address)
        self._driver.release_pool(pool)

    def _some_addresses(self, pool: Pool) -> list[str]:
        count = self._choose.randrange(6)
        return [self._driver.request_address(pool) for _ in range(count)]

    def use_the_shared_network(self) -> None:
        shared = Pool(f"local/{SHARED}", SHARED)
        mine = []
        for _ in range(self._choose.randrange(1, 8)):
            mine.append(self._driver.request_address(shared))
            self._held.take(mine[-1])
        for address in mine:
            plain = address.partition("/")[0]
            assert "in use since" in self._driver.address_error(shared, plain)
            self._held.give_back(address)
            self._driver.release_address(shared, address)

    def ask_for_an_own_subnet(self) -> None:
        subnet = self._own_subnet
        pool = self._driver.request_pool(subnet, ip_range=subnet.replace("0/24", "64/26"))
        with self._held.block(subnet):
            first, wanted = subnet.replace("0/24", "64/24"), subnet.replace("0/24", "9")
            assert self._driver.request_address(pool) == first
            assert self._driver.request_address(pool, wanted) == f"{wanted}/24"
            assert "in use since" in self._driver.address_error(pool, wanted)
            self._driver.release_address(pool, wanted)
            assert self._driver.request_address(pool, wanted) == f"{wanted}/24"
            overlapping = subnet.replace("0/24", "128/25")
            assert f"overlaps pool {pool.id}" in self._driver.pool_error(overlapping)
        self._driver.release_pool(pool)

    def fill_a_small_network(self) -> None:
        pool = self._driver.request_pool(options={"prefix": "30"})
        with self._held.block(pool.subnet):
            self._driver.request_address(pool, "", GATEWAY)
            last = self._driver.request_address(pool)
            assert "has no free address" in self._driver.address_error(pool)
            self._driver.release_address(pool, last)
            assert self._driver.request_address(pool) == last
        self._driver.release_pool(pool)

    def announce(self) -> None:
        assert self._driver.post("Plugin.Activate").json() == {"Implements": ["IpamDriver"]}
        self._driver.announce()

    def ask_for_what_cannot_be_had(self) -> None:
        assert "outside every scope" in self._driver.pool_error("192.168.7.0/24")
        assert "is not held" in self._driver.address_error(Pool("local/10.100.250.0/24", ""))
        self._driver.release_pool(Pool("local/10.100.250.0/24", ""))
        self._driver.release_address(Pool("local/10.100.250.0/24", ""), "10.100.250.1")
        call = self._choose.choice(["RequestPool", "ReleasePool", "ReleaseAddress"])
        reply = self._driver.post(f"IpamDriver.{call}", self._choose.choice(["", "{", "[]", '"x"']))
        assert reply.status == 400
        assert reply.error()

    def look_around(self) -> None:
        assert f"local/{SHARED}" in self._driver.held()
        assert self._driver.get("/v1/status")["failure"] is None
        assert self._driver.get("/v1/scopes")


class Watched:
    """The resources of the running process."""

    def __init__(self, program: Program) -> None:
        assert program.process is not None
        self._folder = Path(f"/proc/{program.process.pid}")
        self.most_memory = 0

    def threads(self) -> int:
        return len(list((self._folder / "task").iterdir()))

    def descriptors(self) -> int:
        return len(list((self._folder / "fd").iterdir()))

    def memory(self) -> int:
        """Bytes of VmRSS; the maximum is kept in `most_memory`."""
        status = (self._folder / "status").read_text()
        used = int(status.partition("VmRSS:")[2].split()[0]) * 1024
        self.most_memory = max(self.most_memory, used)
        return used


class Crowd:
    """All clients at once, well-behaved or not."""

    def __init__(self, program: Program, engine: Engine, seed: int) -> None:
        held = Held()
        self._drivers = [program.driver(engine) for _ in range(CLIENTS)]
        self.clients = [
            Client(driver, number, seed + number, held)
            for number, driver in enumerate(self._drivers)
        ]
        self._mischief = [Mischief(program.socket(), seed - n) for n in range(MISCHIEVOUS)]

    def run(self, seconds: float, watched: Watched) -> None:
        """Run all clients for this many seconds. Raises the first error that a client has found."""
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(CLIENTS + MISCHIEVOUS) as threads:
            running = [threads.submit(client.live_until, end) for client in self.clients]
            running += [threads.submit(each.misbehave_until, end) for each in self._mischief]
            while not all(one.done() for one in running):
                watched.memory()
                time.sleep(0.1)
        for one in running:
            one.result()

    def close(self) -> None:
        """Close all connections."""
        for driver in self._drivers:
            driver.close()
        for each in self._mischief:
            each.close()


def test_well_behaved_clients_are_served_correctly_whatever_others_do(
    program: Program, engine_a: Engine
) -> None:
    seed = int(os.environ.get("LOAD_SEED", str(random.randrange(2**32))))
    print(f"\nLOAD_SEED={seed}, {SECONDS:g} seconds")
    program.write_schema(
        scope("10.0.0.0/10", 26, tags=["default", "wide"]),
        scope("10.100.0.0/16", 24, tags=["own"]),
        scope("10.200.0.0/16", 22, tags=["shared"]),
        scope("fd00::/32", 64, tags=["default", "wide"]),
    )
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    shared = driver.request_pool(SHARED)
    watched = Watched(program)
    threads, descriptors, memory = watched.threads(), watched.descriptors(), watched.memory()

    crowd = Crowd(program, engine_a, seed)
    crowd.run(SECONDS, watched)
    crowd.close()

    done = [client.done for client in crowd.clients]
    print(f"{sum(done)} things were done, {min(done)} to {max(done)} by each client")
    print(f"memory: {memory // MEGABYTE} MiB before, {watched.most_memory // MEGABYTE} at most")
    assert min(done) > 0
    assert watched.most_memory - memory < MOST_GROWTH_BYTES
    wait_until(lambda: watched.descriptors() == descriptors, "every connection is closed")
    wait_until(lambda: watched.threads() == threads, "every thread has ended that the load began")
    assert driver.held() == [shared.id]
    assert driver.leases(shared) == []
    last = Mischief(program.socket(), seed)
    last.leave_half_a_request()
    last.request_much_and_read_nothing()
    driver.release_pool(shared)
    assert program.stop() == 0
    last.close()
