"""`pyipam routes`, of a plugin in this process."""

from __future__ import annotations

import sys

import pytest

from pyipam.cli.routing.watching import Watch
from pyipam.space.block import parse_subnet
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host
from tests.unit.cli.plans import make_network


@pytest.fixture
def subnet(plugin: InProcess) -> str:
    """The subnet of a network."""
    return make_network(plugin).partition("/")[2]


def test_the_prefixes_are_printed(host: Host, subnet: str) -> None:
    assert host.run("routes", "--exact") == (0, f"{subnet}\n", "")


@pytest.mark.parametrize("option", [("--format", "json"), ("--json",)], ids=" ".join)
def test_json_is_the_answer_of_the_plugin(host: Host, subnet: str, option: tuple[str, ...]) -> None:
    (route,) = host.run("routes", "--exact", *option).json["routes"]

    assert (route["prefix"], route["kind"]) == (subnet, "exact")


def test_another_protocol_number_is_said_to_ip(host: Host, subnet: str) -> None:
    outcome = host.run("routes", "--exact", "--format", "ip", "--proto", "99")

    assert outcome.out == f"route replace unreachable {subnet} proto 99 metric 4278198272\n"


@pytest.mark.usefixtures("subnet")
def test_of_another_node_there_is_nothing_where_nobody_shares_the_plan(host: Host) -> None:
    code, out, err = host.run("routes", "--exact", "--node", "h9")

    assert (code, out) == (0, "")
    assert err.startswith("pyipam: node=h9: no node that shares the plan is called 'h9'; ")


@pytest.mark.usefixtures("subnet")
@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("smal", "no scope has the tag 'smal'; did you mean small?"),
        ("!evpn", "no scope has the tag 'evpn'; there is default, small"),
    ],
)
def test_a_tag_that_no_scope_has_is_said_beside_the_routes(
    host: Host, tags: str, said: str
) -> None:
    named, ruled_out = (host.run("routes", "--exact", "--tags", each) for each in (tags, "!small"))

    assert (named.code, named.err) == (0, f"pyipam: tags={tags}: {said}\n")
    assert ruled_out.err == ""


@pytest.mark.usefixtures("subnet")
def test_a_watch_says_once_that_no_scope_has_a_tag(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = iter(range(3))

    def turn(watch: Watch) -> None:
        if next(rounds, None) is None:
            sys.exit(0)
        watch.ask("", 1)

    monkeypatch.setattr(Watch, "turn", turn)

    outcome = host.run("routes", "--watch", "--run", "true", "--tags", "smal")

    assert outcome.err.splitlines() == [
        "pyipam: tags=smal: no scope has the tag 'smal'; did you mean small?"
    ]


def test_a_plugin_that_is_not_ready_is_not_an_empty_list(host: Host) -> None:
    with host.answering(lambda _: (503, b'{"Err":"the plan is being read"}')):
        outcome = host.run("routes", "--format", "ip")

    assert outcome == (1, "", "pyipam: refused: the plan is being read\n")


@pytest.mark.usefixtures("subnet")
def test_a_prefix_that_is_announced_once_passes_the_check(host: Host) -> None:
    assert host.run("routes", "--exact", "--check") == (0, "", "")


def test_a_prefix_that_is_announced_twice_is_found_by_the_check(host: Host, subnet: str) -> None:
    host.kernel.from_bgp = {parse_subnet(subnet)}

    outcome = host.run("routes", "--exact", "--check")

    assert outcome.code == 3
    assert outcome.out.startswith(f"{subnet} is announced twice: ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--node", "h1", "--all"), "choose one of --node and --all"),
        (("--sync", "kernel"), "--sync, --run and --keep go with --watch"),
        (("--watch",), "say what --watch is for: --sync kernel, --run COMMAND or --check"),
        (
            ("--watch", "--sync", "kernel", "--format", "frr"),
            "--format and --json go without --watch: --run COMMAND reads JSON on standard input",
        ),
        (
            ("--watch", "--sync", "kernel", "--all"),
            "--sync kernel announces this host's routes: without --node and --all",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    host: Host, arguments: tuple[str, ...], why: str
) -> None:
    outcome = host.run("routes", *arguments)

    assert outcome.code == 2
    assert why in outcome.err
