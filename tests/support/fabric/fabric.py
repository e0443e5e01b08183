"""A routed fabric: hosts around a router, and a client that is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyipam.host.route import ANNOUNCED_METRIC
from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import as_shown
from tests.support.fabric.daemons import Bird, Frr
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.mongodb.replica_set import wait_for

CLIENT, CLIENT6 = "203.0.113.9", "2001:db8:9::9"
_ROUTES_OF_CLIENT = ("203.0.113.1", "2001:db8:9::1")
# Prefixes, each with the AS numbers of the hosts that announce it.
Routes = dict[str, list[int]]


@dataclass(frozen=True)
class Fabric:
    """The machines of a fabric. The router has port swpN with fe80::1 to host N, whose port is
    up0. The default route of a host leads back to the router, which announces it."""

    router: Frr | Bird
    client: Machine
    hosts: list[Machine] = field(default_factory=list)

    def attach(self, host: Machine) -> None:
        """Join one more host to the router."""
        self.plug_in(self.next_number(), host)

    def next_number(self) -> int:
        """The number of a host that is joined next."""
        return len(self.hosts) + 1

    def plug_in(self, number: int, host: Machine) -> None:
        """Join a host to its port of the router, for the first time or after its power was cut."""
        port = f"swp{number}"
        router = self.router.machine
        # The cable of a host whose power was cut may be there for a moment.
        self.wait_for(
            f"that {port} is free", lambda: router.run("ip", "link", "show", port).code != 0
        )
        router.plug(port, host, "up0")
        router.ip(f"link set {port} addrgenmode none")
        router.ip(f"-6 address flush dev {port}")
        router.ip(f"address add fe80::1/64 dev {port} nodad")
        self.hosts[number - 1 : number] = [host]

    def versions(self) -> tuple[int, int]:
        """The versions of the tables of a router with FRR: see Frr.versions."""
        assert isinstance(self.router, Frr)
        return self.router.versions()

    @contextmanager
    def unplugged(self, host: Machine) -> Iterator[None]:
        """Take the carrier from the cable of a host while the block runs."""
        host.ip("link set up0 down")
        yield
        host.ip("link set up0 up")

    def check_unreachable(self, unused: str) -> None:
        """Check that the client is told that this address is unreachable, by a packet that has not
        gone round in circles until its time was over."""
        answers = self.client.run("ping", "-n", "-c2", "-i0.2", "-W5", unused).text
        assert "nreachable" in answers, answers
        assert "ime to live" not in answers, answers
        assert "ime exceeded" not in answers, answers

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until the condition holds. Raises TimeoutError with the routes of the router."""
        try:
            wait_for(holds, what, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the router has {self.router.routes()}") from None

    def announce_for_a_moment(self, host: Machine, prefix: str, known: Routes, number: int) -> None:
        """Let a host whose AS has this number announce a prefix, and withdraw it, each until the
        router, which knows other routes, has learned of it."""
        announce(host, prefix)
        self.wait_for_routes({**known, prefix: [number]})
        withdraw(host, prefix)
        self.wait_for_routes(known)

    def wait_for_routes(self, expected: Routes, seconds: float = 30) -> None:
        """Wait until the router knows just these prefixes from these hosts."""
        self.wait_for(f"just {expected}", lambda: self.router.routes() == expected, seconds)


def announce(host: Machine, *prefixes: str, metric: int = ANNOUNCED_METRIC) -> None:
    """Put what a host announces into its kernel, as `pyipam routes --sync kernel` does."""
    for prefix in prefixes:
        host.ip(f"{_family(prefix)} route replace unreachable {prefix} proto 100 metric {metric}")


def withdraw(host: Machine, *prefixes: str, metric: int = ANNOUNCED_METRIC) -> None:
    """Take it out of the kernel again."""
    for prefix in prefixes:
        host.ip(f"{_family(prefix)} route delete unreachable {prefix} proto 100 metric {metric}")


def routes_of(host: Machine, protocol: str) -> set[str]:
    """The prefixes that a kernel has from this protocol of `ip route`."""
    return {
        next(word for word in line.split() if word != "unreachable")
        for family in ("-4", "-6")
        for line in host.ip(f"{family} route show proto {protocol}").splitlines()
        if not line.startswith(("\t", " "))
    }


def _family(prefix: str) -> str:
    return "-6" if ":" in prefix else "-4"


@contextmanager
def fabric(say: Say, configuration: str = "", program: type[Frr | Bird] = Frr) -> Iterator[Fabric]:
    """A router that runs this program with this configuration, or with that of the documentation
    for FRR, and a client; no hosts as yet."""
    chroot = ensure_routers(say)
    with ExitStack() as stack:
        router, client = (stack.enter_context(Machine(name, chroot)) for name in ("r1", "client"))
        _join_client(router, client)
        daemons = program(router)
        daemons.start(configuration or as_shown("frr-router.conf"))
        yield Fabric(daemons, client)


def add_host(stack: ExitStack, chroot: Path, fabric: Fabric) -> Machine:
    """One more host, on which no routing daemon runs as yet; it ends with the stack."""
    host = stack.enter_context(Machine(f"h{len(fabric.hosts) + 1}", chroot))
    fabric.attach(host)
    return host


def _join_client(router: Machine, client: Machine) -> None:
    router.plug("clients", client, "eth0")
    for machine, port, addresses in (
        (router, "clients", _ROUTES_OF_CLIENT),
        (client, "eth0", (CLIENT, CLIENT6)),
    ):
        machine.ip(f"address add {addresses[0]}/24 dev {port}")
        machine.ip(f"address add {addresses[1]}/64 dev {port} nodad")
    for gateway in _ROUTES_OF_CLIENT:
        client.ip(f"{_family(gateway)} route add default via {gateway}")
