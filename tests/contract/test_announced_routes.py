"""The routes that a routing daemon announces, in the kernel of a network of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.program import IN_OWN_NETWORK

_PLUGIN = Path(__file__).parents[2] / "plugin"
_PRELUDE = """
import json, subprocess, sys
from pyipam.host.announced_routes import AnnouncedRoutes
from pyipam.space.block import parse_subnet as block

def ip(command):
    subprocess.run(["ip", *command.split()], check=True)

def listed(protocol):
    shown = subprocess.run(
        ["ip", "route", "show", "proto", protocol], check=True, capture_output=True, text=True
    ).stdout + subprocess.run(
        ["ip", "-6", "route", "show", "proto", protocol], check=True, capture_output=True, text=True
    ).stdout
    return [" ".join(line.split()[:2]) for line in shown.splitlines()]

def tell(value):
    print(json.dumps(sorted(map(str, value))))

ip("link set lo up")
ip("link add lan type bridge")
ip("link set lan up")
ip("address add 192.0.2.1/24 dev lan")
ip("address add 2001:db8::1/64 dev lan nodad")
routes = AnnouncedRoutes(100)
EMPTY = "from pyipam.host.announced_routes import AnnouncedRoutes as A; print([*A(100).blocks()])"
"""


def told(script: str) -> list[Any]:
    """What a script tells, line by line, in a network of its own."""
    done = subprocess.run(
        [*IN_OWN_NETWORK, sys.executable, "-c", _PRELUDE + script],
        env=os.environ | {"PYTHONPATH": str(_PLUGIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_routes_that_are_added_are_listed_by_the_kernel_as_unreachable() -> None:
    (there,) = told("""
routes.add(block("10.1.16.0/20"))
routes.add(block("fd00:10:1::/48"))
tell(listed("100"))
""")

    assert there == ["unreachable 10.1.16.0/20", "unreachable fd00:10:1::/48"]


def test_a_network_that_has_never_had_a_route_has_none() -> None:
    (there,) = told("""
empty = ["unshare", "--net", sys.executable, "-c", EMPTY]
done = subprocess.run(empty, check=True, capture_output=True, text=True)
tell(json.loads(done.stdout))
""")

    assert there == []


def test_routes_that_are_there_are_read() -> None:
    (there,) = told("""
ip("route add unreachable 10.1.16.0/20 proto 100 metric 4278198272")
ip("-6 route add unreachable fd00:10:1::/48 proto 100 metric 4278198272")
tell(routes.blocks())
""")

    assert there == ["10.1.16.0/20", "fd00:10:1::/48"]


def test_adding_a_route_again_and_deleting_it_twice_is_fine() -> None:
    (there,) = told("""
for subnet in ("10.1.16.0/20", "fd00:10:1::/48"):
    routes.add(block(subnet))
    routes.add(block(subnet))
    routes.delete(block(subnet))
    routes.delete(block(subnet))
tell(routes.blocks())
""")

    assert there == []


def test_a_merged_route_and_its_parts_can_be_there_together() -> None:
    before, after = told("""
for subnet in ("10.1.0.0/20", "10.1.16.0/20", "10.1.0.0/19"):
    routes.add(block(subnet))
tell(routes.blocks())
routes.delete(block("10.1.0.0/20"))
routes.delete(block("10.1.16.0/20"))
tell(routes.blocks())
""")

    assert before == ["10.1.0.0/19", "10.1.0.0/20", "10.1.16.0/20"]
    assert after == ["10.1.0.0/19"]


def test_routes_of_other_protocols_metrics_types_and_tables_are_not_read() -> None:
    (there,) = told("""
ip("route add unreachable 10.1.0.0/20 proto 99 metric 4278198272")
ip("route add unreachable 10.2.0.0/20 proto 100 metric 7")
ip("route add blackhole 10.3.0.0/20 proto 100 metric 4278198272")
ip("route add unreachable 10.4.0.0/20 proto 100 metric 4278198272 table 7")
ip("-6 route add unreachable fd00:10:1::/48 proto 99 metric 4278198272")
tell(routes.blocks())
""")

    assert there == []


def test_a_route_in_the_place_of_another_one_is_refused_and_that_one_stays() -> None:
    refused, there = told("""
routes.add(block("10.2.0.0/20"))
routes.add(block("10.2.0.0/20"))
ip("route add unreachable 10.1.0.0/20 proto 99 metric 4278198272")
ip("-6 route add unreachable fd00:10:1::/48 proto 99 metric 4278198272")
refused = []
for subnet in ("10.1.0.0/20", "fd00:10:1::/48"):
    try:
        routes.add(block(subnet))
    except FileExistsError as error:
        refused.append(f"{subnet}: {error.strerror}")
    routes.delete(block(subnet))
tell(refused)
tell(listed("99"))
""")

    assert refused == [
        f"{subnet}: the kernel has another route of proto 99 of this prefix and metric"
        for subnet in ("10.1.0.0/20", "fd00:10:1::/48")
    ]
    assert there == ["unreachable 10.1.0.0/20", "unreachable fd00:10:1::/48"]


def test_what_a_bgp_daemon_put_into_a_block_is_learned() -> None:
    (learned,) = told("""
ip("route add 10.1.16.0/20 via 192.0.2.2 proto bgp")
ip("route add 10.1.17.0/24 via 192.0.2.2 proto bird")
ip("route add 10.1.18.0/24 via 192.0.2.2 proto static")
ip("route add 10.1.32.0/20 via 192.0.2.2 proto bgp")
ip("-6 route add fd00:10:1::/48 via 2001:db8::2 proto bgp")
routes.add(block("10.1.16.0/20"))
tell(routes.learned([block("10.1.16.0/20"), block("fd00:10:1::/48")]))
""")

    assert learned == ["10.1.16.0/20", "10.1.17.0/24", "fd00:10:1::/48"]


def test_more_routes_than_one_message_holds_are_read_to_the_end() -> None:
    ((count,),) = told("""
for number in range(2000):
    routes.add(block(f"10.{number >> 8}.{number & 255}.0/24"))
tell([len(routes.blocks())])
""")

    assert count == "2000"
