"""The options of a network ("Options of a network" in README.md)."""

from __future__ import annotations

import pytest

from pyipam.errors import InvalidRequest
from pyipam.plan.network_options import (
    NetworkOptions,
    check_spelling,
    parse_network_options,
    unknown_options,
)


def test_each_option_of_a_network_replaces_the_one_of_its_alias() -> None:
    alias = parse_network_options(
        {"scope_filter_tags": "lan", "prefix": "26,64", "shared": "true", "id": "a"}
    )

    wanted = parse_network_options({"prefix": "28", "shared": "false"}).over(alias)

    assert wanted == alias._replace(ipv4_length=28, shared=False)


def test_an_empty_label_of_a_network_replaces_the_one_of_its_alias() -> None:
    assert parse_network_options({"id": ""}).over(NetworkOptions(label="a")).label == ""


@pytest.mark.parametrize("text", ["true", "True", ' "true" '])
def test_shared_is_read_whatever_quotes_and_capitals_it_has(text: str) -> None:
    assert parse_network_options({"shared": text}).shared is True


@pytest.mark.parametrize("text", ["yes", "1", "tru"])
def test_a_value_of_shared_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"shared='{text}' cannot be read: write true or"):
        parse_network_options({"shared": text})


def test_options_of_docker_are_known() -> None:
    options = {
        "com.docker.network.ipam.serial": "true",
        "RequestAddressType": "com.docker.network.gateway",
        "owner": "alice",
        "shared": "true",
    }
    assert unknown_options(options) == ["owner"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("scope_filter_tag", "scope_filter_tags"),
        ("scope-filter-tags", "scope_filter_tags"),
        ("tags", "scope_filter_tags"),
        ("Prefix", "prefix"),
        ("prefix_length", "prefix"),
        ("share", "shared"),
        ("ID", "id"),
    ],
)
def test_a_misspelt_option_is_refused_with_the_right_name(name: str, meant: str) -> None:
    with pytest.raises(InvalidRequest, match=f"option '{name}' is unknown; did you mean '{meant}'"):
        check_spelling([name])


@pytest.mark.parametrize("name", ["owner", "vlan", "uid", "network_id", "", "\0", "x" * 100_000])
def test_an_option_that_resembles_none_is_let_pass(name: str) -> None:
    check_spelling([name])
