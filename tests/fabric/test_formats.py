"""What `pyipam routes` prints for a program, read by that program; and whether FRR and BIRD take
each configuration of docs/routing.md by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import FOLDER, as_shown
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import routes_of
from tests.support.fabric.formats import write_routes
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.mongodb.replica_set import wait_for

_SETS = [
    (),
    ("10.1.16.0/20",),
    ("fd00:10:1::/48",),
    ("10.1.16.0/20", "10.1.64.0/19", "10.1.208.64/26", "fd00:10:1::/48", "fd00:10:8:1::/64"),
]
_sets = pytest.mark.parametrize("prefixes", _SETS, ids=["none", "IPv4", "IPv6", "several"])


@pytest.fixture(scope="module")
def machine(say: Say) -> Iterator[Machine]:
    """A machine with FRR, BIRD and ip."""
    homes.remove_abandoned(say)
    with Machine("formats", ensure_routers(say)) as made:
        made.must("mkdir", "-p", "/etc/pyipam", "/etc/bird")
        yield made


@_sets
def test_ip_puts_into_the_kernel_what_it_reads(machine: Machine, prefixes: tuple[str, ...]) -> None:
    write_routes(machine, "ip", "/tmp/routes", *prefixes)

    machine.must("ip", "-batch", "/tmp/routes")
    # A second time there is nothing to change.
    machine.must("ip", "-batch", "/tmp/routes")

    assert routes_of(machine, "100") == set(prefixes)
    for family in ("-4", "-6"):
        machine.ip(f"{family} route flush proto 100")


@_sets
def test_bird_announces_what_it_reads(machine: Machine, prefixes: tuple[str, ...]) -> None:
    (machine.root / "etc/bird/bird.conf").write_text(as_shown("bird-host-file.conf"))
    write_routes(machine, "bird", "/etc/pyipam/routes.bird", *prefixes)

    machine.must("bird", "-p", "-c", "/etc/bird/bird.conf")


@_sets
def test_frr_takes_what_it_reads(machine: Machine, prefixes: tuple[str, ...]) -> None:
    write_routes(machine, "frr", "/tmp/routes.frr", *prefixes)

    machine.must("vtysh", "-C", "-f", "/tmp/routes.frr")


def test_frr_has_the_routes_that_it_has_read(machine: Machine) -> None:
    write_routes(machine, "frr", "/tmp/routes.frr", *_SETS[-1])
    frr = Frr(machine)
    frr.start("")
    try:
        machine.must("vtysh", "-f", "/tmp/routes.frr")

        # The number of its static routes in the kernel (zebra/rt_netlink.h, RTPROT_ZSTATIC).
        wait_for(lambda: routes_of(machine, "196") == set(_SETS[-1]), "the routes of FRR")
    finally:
        frr.stop()


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("frr-*.conf")))
def test_frr_takes_each_configuration(machine: Machine, file: str) -> None:
    (machine.root / "tmp/shown").write_text(as_shown(file))

    machine.must("vtysh", "-C", "-f", "/tmp/shown")


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("bird-*.conf")))
def test_bird_takes_each_configuration(machine: Machine, file: str) -> None:
    (machine.root / "etc/bird/bird.conf").write_text(as_shown(file))

    machine.must("bird", "-p", "-c", "/etc/bird/bird.conf")


def test_a_program_says_so_where_it_cannot_read_something(machine: Machine) -> None:
    """Otherwise the tests above would show nothing."""
    (machine.root / "tmp/wrong").write_text("routes to everywhere\n")

    assert machine.run("vtysh", "-C", "-f", "/tmp/wrong").code
    assert machine.run("bird", "-p", "-c", "/tmp/wrong").code
    assert machine.run("ip", "-batch", "/tmp/wrong").code
