"""Routes as text."""

from __future__ import annotations

import json

import pytest

from pyipam.cli.routing.formats import FORMATS, text_of
from tests.unit.cli.routing.answers import announced, answer

ROUTES = ("fd00:10:1::/48", "10.1.32.0/20", "10.1.0.0/20")


def test_plain_is_a_prefix_a_line_by_address() -> None:
    assert (
        text_of(announced(*ROUTES), "plain", 100) == "10.1.0.0/20\n10.1.32.0/20\nfd00:10:1::/48\n"
    )


def test_json_is_the_answer_of_the_plugin() -> None:
    assert json.loads(text_of(announced(*ROUTES), "json", 100)) == answer(*ROUTES)


def test_ip_is_what_a_batch_of_ip_reads() -> None:
    assert text_of(announced(*ROUTES[1:]), "ip", 99) == (
        "route replace unreachable 10.1.0.0/20 proto 99 metric 4278198272\n"
        "route replace unreachable 10.1.32.0/20 proto 99 metric 4278198272\n"
    )


def test_frr_is_static_routes_of_a_distance_that_everything_else_is_preferred_to() -> None:
    assert text_of(announced(*ROUTES), "frr", 100) == (
        "ip route 10.1.0.0/20 reject 254\n"
        "ip route 10.1.32.0/20 reject 254\n"
        "ipv6 route fd00:10:1::/48 reject 254\n"
    )


def test_bird_is_a_protocol_for_each_version() -> None:
    assert text_of(announced(*ROUTES), "bird", 100) == (
        "protocol static pyipam4 {\n"
        "  ipv4;\n"
        "  route 10.1.0.0/20 unreachable;\n"
        "  route 10.1.32.0/20 unreachable;\n"
        "}\n"
        "protocol static pyipam6 {\n"
        "  ipv6;\n"
        "  route fd00:10:1::/48 unreachable;\n"
        "}\n"
    )


@pytest.mark.parametrize("form", ["plain", "ip", "frr"])
def test_nothing_to_announce_is_no_line(form: str) -> None:
    assert text_of(announced(), form, 100) == ""


def test_without_routes_bird_still_has_both_protocols() -> None:
    assert text_of(announced(), "bird", 100).count("protocol static") == len(("pyipam4", "pyipam6"))
    assert set(FORMATS) == {"plain", "json", "ip", "frr", "bird"}
