"""A list that is empty because of what was asked says so, and what may have been meant."""

from __future__ import annotations

import pytest

from tests.support.in_process import InProcess
from tests.unit.cli.host import Host
from tests.unit.cli.plans import make_network, start_container


@pytest.fixture(autouse=True)
def pool(host: Host, plugin: InProcess) -> str:
    """The pool of network `shop`, in which container `web` has an address."""
    pool = make_network(plugin)
    host.engine.add_network("shop", pool.partition("/")[2])
    host.engine.add_container("web", "shop", start_container(plugin, pool))
    return pool


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("scopes --tag smal", "tag=smal: no scope has the tag 'smal'; did you mean small?"),
        ("pools --tag smal", "tag=smal: no scope has the tag 'smal'; did you mean small?"),
        ("pools --tag x", "tag=x: no scope has the tag 'x'; there is default, small"),
        ("pools --free --tag x", "tag=x: no scope has the tag 'x'; there is default, small"),
        (
            "pools --scope 10.0.1.0/25",
            "scope=10.0.1.0/25: the schema has no scope '10.0.1.0/25'; did you mean 10.0.1.0/24?",
        ),
        ("leases --free -f space=global", "space=global"),
        (
            "pools --id local/10.0.0.0/25",
            "id=local/10.0.0.0/25: no pool has the id 'local/10.0.0.0/25'; did you mean "
            "local/10.0.0.0/24?",
        ),
        ("pools -f label=x", "label=x: no pool has the label 'x'; there is none"),
        (
            "pools -f network=shops",
            "network=shops: no network that uses the plugin is called 'shops'; did you mean shop?",
        ),
        (
            "leases -f container=webb",
            "container=webb: no container in such a network is called 'webb'; did you mean web?",
        ),
        (
            "leases -f node=x",
            "node=x: this host shares its plan with no other",
        ),
        ("pools -f network=shop --tag small", "network=shop, tag=small"),
        ("leases --unclaimed", "unclaimed=true"),
    ],
)
def test_what_nothing_matches_is_said_with_the_reason(host: Host, command: str, said: str) -> None:
    outcome = host.run(*command.split())

    assert outcome.code == 0
    assert outcome.err == f"pyipam: nothing matches {said}\n"


def test_json_of_what_nothing_matches_is_an_empty_list(host: Host) -> None:
    outcome = host.run("pools", "--tag", "x", "--json")

    assert outcome.json == []
    assert outcome.err.startswith("pyipam: nothing matches tag=x: ")


@pytest.mark.parametrize("command", ["pools", "leases"])
def test_names_that_docker_was_not_asked_for_are_said_to_be_unknown(
    host: Host, command: str
) -> None:
    outcome = host.run(command, "--socket", host.socket, "-f", "network=shop")

    assert outcome.err == (
        "pyipam: nothing matches network=shop: Docker was not asked, and pyipam record has named "
        "no network 'shop'\n"
    )


def test_an_empty_list_without_filters_says_nothing(host: Host, plugin: InProcess) -> None:
    plugin.call("ReleaseAddress", {"PoolID": "local/10.0.0.0/24", "Address": "10.0.0.1"})

    assert host.run("leases", "-q") == (0, "", "")
