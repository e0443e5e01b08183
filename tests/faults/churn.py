"""Connections that request and release as fast as they can, until something stops the plugin."""

from __future__ import annotations

import json
import random
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.dockerd import Engine, Pool, go_json, pool_request, request_bytes
from tests.support.program import Program

CONNECTIONS = 32
SHORTEST_SECONDS, LONGEST_SECONDS = 0.005, 0.12
MOST_POOLS = 4
MOST_LEASES = 8

Body = dict[str, Any]


@dataclass
class Call:
    """A call that was sent, and has not been answered."""

    name: str
    pool: str = ""
    address: str = ""


@dataclass
class Client:
    """A connection, what it has been given, and its call in progress."""

    held: dict[str, set[str]] = field(default_factory=dict)
    in_progress: Call | None = None
    connection: socket.socket | None = None
    received: bytes = b""

    def next_call(self, choose: random.Random) -> tuple[Call, Body]:
        """A call that changes what it has, and its body."""
        pools = sorted(self.held)
        if not pools or (len(pools) < MOST_POOLS and choose.random() < 0.1):
            return Call("RequestPool"), pool_request(options={"prefix": "26"})
        pool = choose.choice(pools)
        leases = sorted(self.held[pool])
        if choose.random() < 0.05:
            return Call("ReleasePool", pool), {"PoolID": pool}
        if leases and (len(leases) >= MOST_LEASES or choose.random() < 0.4):
            address = choose.choice(leases)
            return Call("ReleaseAddress", pool, address), {"PoolID": pool, "Address": address}
        return Call("RequestAddress", pool), {"PoolID": pool, "Address": "", "Options": None}

    def learn(self, answer: Body, others: set[str]) -> None:
        """Take note of an answer, which must give nothing out twice. `others` are the pools that
        some client has and has not asked to release."""
        call, self.in_progress = self.in_progress, None
        assert call is not None
        if call.name == "RequestPool":
            assert answer["PoolID"] not in others, f"{answer['PoolID']} was given twice"
            self.held[answer["PoolID"]] = set()
        elif call.name == "RequestAddress":
            address = answer["Address"].partition("/")[0]
            assert address not in self.held[call.pool], f"{address} was given twice"
            self.held[call.pool].add(address)
        elif call.name == "ReleaseAddress":
            self.held[call.pool].discard(call.address)
        else:
            del self.held[call.pool]


class Churn:
    """All clients, over all rounds."""

    def __init__(self, program: Program, engine: Engine, seed: int) -> None:
        self._program = program
        self._engine = engine
        self._choose = random.Random(seed)
        self.clients = [Client() for _ in range(CONNECTIONS)]
        self.answered = 0

    def pools(self) -> set[str]:
        """The pools that the clients have been given and have not asked to release. (The answer to
        a release may be read after the answer that gives the block to the next client.)"""
        return {
            pool
            for client in self.clients
            for pool in client.held
            if client.in_progress != Call("ReleasePool", pool)
        }

    def run_until(self, end: Callable[[], None]) -> None:
        """Keep every connection busy, and call `end` at a random moment."""
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                client.connection = self._engine.connect(self._program.socket())
                client.connection.setblocking(False)
                client.received = b""
                selector.register(client.connection, selectors.EVENT_READ, client)
                self._send(client)
            last = time.monotonic() + self._choose.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
            while time.monotonic() < last:
                for key, _ in selector.select(0.01):
                    self._receive(key.data)
            end()
        for client in self.clients:
            assert client.connection is not None
            client.connection.close()

    def _send(self, client: Client) -> None:
        client.in_progress, body = client.next_call(self._choose)
        content = go_json(body).encode()
        assert client.connection is not None
        client.connection.sendall(
            request_bytes("POST", f"/IpamDriver.{client.in_progress.name}", content)
        )

    def _receive(self, client: Client) -> None:
        assert client.connection is not None
        client.received += client.connection.recv(65536)
        head, found, body = client.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        if not found or len(body) < length:
            return
        assert head.startswith(b"HTTP/1.1 200"), client.received
        client.received = b""
        client.learn(json.loads(body), self.pools())
        self.answered += 1
        self._send(client)

    def check_and_adopt(self) -> None:
        """Compare what the restarted program holds with what each client has been given, and
        continue from what it holds."""
        driver = self._program.driver(self._engine)
        driver.announce()
        self._compare({pool: set(driver.leases(Pool(pool, ""))) for pool in driver.held()})

    def _compare(self, state: dict[str, set[str]]) -> None:
        for client in self.clients:
            call = client.in_progress or Call("none")
            for pool, given in list(client.held.items()):
                # The release was done, and the block may have been given to another client.
                drawn_again = pool in self.pools() or state.get(pool) != given
                if call == Call("ReleasePool", pool) and drawn_again:
                    del client.held[pool]
                    continue
                assert pool in state, f"{pool} is lost"
                _check_leases(pool, given, state[pool], call)
                client.held[pool] = state[pool]
        asked = [c for c in self.clients if c.in_progress and c.in_progress.name == "RequestPool"]
        known = {pool for client in self.clients for pool in client.held}
        unknown = sorted(state.keys() - known)
        assert len(unknown) <= len(asked), f"pools that nobody asked for: {unknown}"
        for client, pool in zip(asked, unknown, strict=False):
            assert state[pool] == set()
            client.held[pool] = set()
        for client in self.clients:
            client.in_progress = None


def _check_leases(pool: str, given: set[str], there: set[str], call: Call) -> None:
    lost, added = given - there, there - given
    may_be_gone = {call.address} if (call.name, call.pool) == ("ReleaseAddress", pool) else set()
    may_be_added = 1 if (call.name, call.pool) == ("RequestAddress", pool) else 0
    assert lost <= may_be_gone, f"{pool} has lost {lost - may_be_gone}"
    assert len(added) <= may_be_added, f"{pool} has {added}, which nobody was given"
