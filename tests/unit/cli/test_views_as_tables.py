"""The commands that show what the plugin knows."""

from __future__ import annotations

import pytest

from pyipam.history.names import NAMES_NAME, Name, to_names_file
from pyipam.runtime.latest import MOST_KEPT
from tests.support.in_process import InProcess
from tests.unit.cli.host import VIEWING, Host
from tests.unit.cli.plans import make_network, start_container

_OUTSIDE = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "8.0.0.0/8")


@pytest.fixture
def pool(host: Host, plugin: InProcess) -> str:
    """The pool of network `shop`, in which container `web` has an address."""
    pool = make_network(plugin)
    address = start_container(plugin, pool)
    subnet = pool.partition("/")[2]
    host.engine.add_network("shop", subnet, driver="owner/pyipam:latest")
    host.engine.add_container("web", "shop", address)
    return pool


@pytest.mark.usefixtures("plugin")
def test_the_status_of_a_plugin_that_is_well_has_no_problem_and_the_code_0(host: Host) -> None:
    outcome = host.run("status")

    assert outcome.code == 0
    assert "well        yes\n" in outcome.out
    assert outcome.out.startswith("plugin      owner/pyipam:latest, version ")
    assert len(outcome.out.splitlines()) <= 12


def test_the_status_of_a_plugin_with_a_wrong_schema_names_its_errors_and_has_the_code_1(
    host: Host, plugin: InProcess, tmp_path: object
) -> None:
    plugin.stop()
    (plugin._home / "schema.json").write_text('{"schema_version": 2, "scopes": []}')
    plugin.start()

    outcome = host.run("status")

    assert outcome.code == 1
    assert "well        no: schema at $.schema_version: it must be 1, not 2\n" in outcome.out
    assert host.run("status", "-q") == (1, "", "")
    assert "the built-in one, as the schema has errors, new pools are refused\n" in outcome.out


def test_the_status_counts_refusals_and_shows_the_latest_few_each_once(
    host: Host, plugin: InProcess
) -> None:
    for subnet in _OUTSIDE:
        plugin.seconds += 1
        plugin.call("RequestPool", {"AddressSpace": "local", "Pool": subnet, "Options": {}})

    lines = host.run("status").out.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("refusals"))

    assert lines[at] == "refusals    5 since the plugin started, the latest:"
    assert [line.split()[:4] for line in lines[at + 1 : at + 4]] == [
        ["2023-11-14T22:13:25Z", "IpamDriver.RequestPool:", "subnet", "8.0.0.0/8"],
        ["2023-11-14T22:13:24Z", "IpamDriver.RequestPool:", "subnet", "192.0.2.0/24"],
        ["2023-11-14T22:13:23Z", "IpamDriver.RequestPool:", "subnet", "203.0.113.0/24"],
    ]
    assert lines[at + 4].startswith("warnings ")


def test_refusals_are_counted_beyond_those_that_are_kept(host: Host, plugin: InProcess) -> None:
    for _ in range(MOST_KEPT + 1):
        plugin.call("RequestPool", {"AddressSpace": "local", "Pool": "192.0.2.0/24", "Options": {}})

    status = host.run("status", "--json").json

    assert (status["refused"], len(status["refusals"])) == (101, MOST_KEPT)


def test_scopes_are_a_tree_with_what_is_held_and_free(host: Host, pool: str) -> None:
    rows = host.run("scopes").cells

    assert [row[:6] for row in rows] == [
        ["10.0.0.0/16", "256 of /24", "2", "254", "10.0.2.0/24", "1"],
        ["· 10.0.1.0/24", "32 of /29", "0", "32", "10.0.1.0/29", "0"],
        ["fd00::/32", "2^32 of /64", "0", "2^32", "fd00::/64", "0"],
    ]
    assert host.run("scopes", "--tag", "small", "-q").out == "10.0.1.0/24\n"


def test_pools_have_the_names_of_their_networks(host: Host, pool: str) -> None:
    (row,) = host.run("pools").cells

    assert row[:5] == [pool, "shop", "10.0.0.0/16", "1", "in use"]


def test_leases_have_the_names_of_their_containers_and_networks(host: Host, pool: str) -> None:
    (row,) = host.run("leases").cells

    assert row[:6] == ["10.0.0.1", "web", "shop", pool, "container", "in use"]


def test_a_lease_is_not_named_after_a_container_that_had_its_address_and_does_not_run(
    host: Host, pool: str
) -> None:
    host.engine.add_container("old", "shop", "10.0.0.1", state="exited")

    assert host.run("leases", "--json").json[0]["containers"] == ["web"]


def test_without_docker_the_names_are_those_that_record_handed_over(
    host: Host, plugin: InProcess, pool: str
) -> None:
    names = (Name("10.0.0.0/24", "market"), Name("10.0.0.0/24", "market", "10.0.0.1", "cook"))
    state = plugin._home / "state"
    state.mkdir(exist_ok=True)
    (state / NAMES_NAME).write_bytes(to_names_file(plugin.seconds + 1, names))
    source = ("--socket", host.socket)

    (lease,) = host.run("leases", "--json", *source, "-f", "container=cook").json

    assert (lease["networks"], lease["containers"]) == (["market"], ["cook"])
    assert lease["named_at"] == plugin.seconds + 1
    assert host.run("pools", *source).cells[0][1] == "market"
    assert host.run("leases", "--json").json[0]["containers"] == ["web"]


def test_networks_of_another_driver_give_no_names(host: Host, plugin: InProcess) -> None:
    pool = make_network(plugin)
    host.engine.add_network("other", pool.partition("/")[2], driver="default")

    assert host.run("pools", "--json").json[0]["networks"] == []


@pytest.mark.parametrize("command", ["pools", "leases"])
@pytest.mark.parametrize(
    ("wanted", "found"),
    [("network=shop", 1), ("network=other", 0), ("scope=10.0.0.0/16", 1), ("scope=fd00::/32", 0)],
)
def test_pools_and_leases_can_be_filtered(
    host: Host, pool: str, command: str, wanted: str, found: int
) -> None:
    assert len(host.run(command, "--filter", wanted, "--json").json) == found


def test_leases_can_be_chosen_by_container(host: Host, pool: str) -> None:
    assert host.run("leases", "-q", "-f", "container=web").out == "10.0.0.1\n"
    assert host.run("leases", "-q", "-f", "container=db").out == ""


def test_an_unknown_filter_is_a_mistake_of_usage_that_names_the_known_ones(host: Host) -> None:
    outcome = host.run("pools", "--filter", "colour=red")

    assert outcome.code == 2
    assert "--filter colour=red: write KEY=VALUE, with a key of tag, scope, subnet" in outcome.err


def test_more_than_a_page_of_pools_is_shown(host: Host, plugin: InProcess) -> None:
    for _ in range(600):
        make_network(plugin, v6=True)

    assert len(host.run("pools", "-q").out.splitlines()) == 600


def test_names_are_left_out_with_a_remark_if_docker_stops_answering(
    host: Host, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.engine, "networks", lambda: host.engine._answer([]))
    plugins = host.engine.known_plugins

    class Away(list[object]):
        pass

    def away() -> None:
        host.engine.is_away = True
        host.engine._answer([])

    monkeypatch.setattr(host.engine, "networks", away)
    outcome = host.run("pools", "-q")

    assert plugins
    assert (outcome.code, outcome.out) == (0, f"{pool}\n")
    assert outcome.err.startswith("pyipam: without the names of networks and containers: ")


def test_what_is_free_in_scopes_is_shown_in_blocks(host: Host, pool: str) -> None:
    rows = host.run("pools", "--free", "--scope", "10.0.1.0/24").cells

    assert rows == [["10.0.1.0/24", "10.0.1.0/24", "32"]]


def test_what_is_free_in_pools_is_shown_in_ranges(host: Host, pool: str) -> None:
    rows = host.run("leases", "--free", "--pool", pool).cells

    assert rows == [[pool, "10.0.0.2", "10.0.0.254", "253"]]


def test_an_address_is_explained_with_its_network_and_container(host: Host, pool: str) -> None:
    lines = host.run("explain", "10.0.0.1").out.splitlines()

    assert lines[0].startswith("10.0.0.1 has been in use since ")
    assert lines[-2:] == ["Docker's network there is shop", "Docker gave it to container web"]
    assert host.run("explain", "-q", "10.9.9.9").out == "outside\n"


def test_what_is_not_an_address_is_refused_with_the_value(host: Host, pool: str) -> None:
    assert host.refusal("explain", "shop") == (
        "'shop' is not an address, such as 10.0.0.2 or fd00::2; pyipam leases --filter "
        "container=NAME says which address a container has"
    )
    assert host.refusal("explain", "10.0.0.2/24").endswith("; did you mean 10.0.0.2?")


def test_a_plan_says_which_block_and_why_not_from_elsewhere(host: Host, pool: str) -> None:
    outcome = host.run("plan", "small")

    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "10.0.1.0/29 of scope 10.0.1.0/24"
    assert host.run("plan", "small", "--prefix", 30, "-q").out == "10.0.1.0/30\n"
    assert host.run("plan", "--ipv6", "-q").out == "fd00::/64\n"


def test_a_plan_that_would_be_refused_has_the_code_1_and_the_refusal(host: Host, pool: str) -> None:
    outcome = host.run("plan", "smal")

    assert outcome.code == 1
    assert "did you mean 'small'?" in outcome.out


def test_nodes_are_shown(host: Host, pool: str) -> None:
    (row,) = host.run("nodes").cells

    assert row[1:] == ["serving", "0", "-", "0", "1", "1", "this node"]


def test_the_versions_of_both_sides_are_shown(host: Host, pool: str) -> None:
    command, plugin = host.run("version").out.splitlines()

    assert command.removeprefix("command ") == plugin.removeprefix("plugin ")


@pytest.mark.parametrize("command", [*VIEWING, ["version"], ["schema"]], ids=" ".join)
def test_every_view_can_be_had_as_json(host: Host, pool: str, command: list[str]) -> None:
    outcome = host.run(*command, "--json")

    assert outcome.code == 0
    assert outcome.json
    assert "\x1b" not in outcome.out


def test_what_is_free_in_the_pool_of_a_network_is_found_by_its_name(host: Host, pool: str) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")

    assert host.run("leases", "--free", "--filter", "network=shop", "-q").out == (
        host.run("leases", "--free", "--pool", pool, "-q").out
    )
    outcome = host.run("leases", "--free", "--filter", "network=shp")
    assert outcome.err.endswith(
        "no network that uses the plugin is called 'shp'; did you mean shop?\n"
    )
    outcome = host.run("leases", "--free", "--pool", "local/10.0.0.0/25")
    assert f"no pool has the id 'local/10.0.0.0/25'; did you mean {pool}?" in outcome.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--prefix", "64"], "--prefix 64 is a length of IPv6: add --ipv6"),
        (["--prefix", "26", "--ipv6"], "--prefix 26 is a length of IPv4: leave out --ipv6"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--schema", "nowhere.json"]])
def test_a_length_belongs_to_its_ip_version(
    host: Host, options: list[str], why: str, more: list[str]
) -> None:
    outcome = host.run("plan", *options, *more)

    assert (outcome.code, outcome.out) == (2, "")
    assert why in outcome.err


def test_the_first_free_block_of_a_length_is_shown_in_each_scope(host: Host, pool: str) -> None:
    rows = host.run("scopes", "--prefix", 23).cells

    assert [row[4] for row in rows] == ["10.0.2.0/23", "-", "-"]
    assert host.run("scopes", "--prefix", 24).cells[0][4] == "10.0.2.0/24"
