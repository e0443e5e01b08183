"""The settings: what each means, and what a wrong value leads to."""

from __future__ import annotations

import json
from pathlib import Path
from socket import gethostname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.errors import InvalidRequest
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.settings import (
    Alias,
    Settings,
    StatusAddress,
    parse_aliases,
    read_places,
    read_settings,
)

CONFIG = Path(__file__).parents[2] / "config.json"

NAMES = [entry["name"] for entry in json.loads(CONFIG.read_text())["env"]]

# As in the environment of a process: without zeros, and with bytes that are not valid UTF-8 as
# Python decodes them.
values = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
)


def error_of(**environment: str) -> str:
    settings = read_settings(environment)
    (error,) = settings.errors
    return error


def default_tags(settings: Settings) -> str:
    assert settings.default_filter is not None
    return settings.default_filter.text


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = read_settings({})

    assert default_tags(settings) == "default"
    assert settings.log_level == "info"
    assert settings.layout == "scope"
    assert settings.node_name == ""
    assert settings.store_url == ""
    assert not settings.allow_unmanaged
    assert settings.aliases == (Alias("pyipam"),)
    assert settings.errors == ()


def test_the_manifest_of_the_plugin_has_the_same_defaults() -> None:
    manifest = {entry["name"]: entry["value"] for entry in json.loads(CONFIG.read_text())["env"]}

    assert read_settings(manifest) == read_settings({})
    assert read_settings(dict.fromkeys(manifest, "")) == read_settings({})


@pytest.mark.parametrize(("name", "value"), [("STORE_URL", "redis://a"), ("NODE_NAME", "a/b")])
def test_the_store_and_the_name_of_the_node_are_kept_though_they_are_wrong(
    name: str, value: str
) -> None:
    settings = read_settings({name: value})

    assert value in (settings.store_url, settings.node_name)


def test_every_setting_of_the_manifest_can_be_set_by_the_operator() -> None:
    entries = json.loads(CONFIG.read_text())["env"]

    assert all(entry["settable"] == ["value"] for entry in entries)


@pytest.mark.parametrize("value", ["internally_routed+!public , default", '" a "', "'a,b'"])
def test_default_tags_is_a_tag_filter(value: str) -> None:
    assert default_tags(read_settings({"DEFAULT_TAGS": value})) == value.strip("\"' ")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "DEBUG", " Info "])
def test_log_level_is_one_of_four_in_any_case(level: str) -> None:
    assert read_settings({"LOG_LEVEL": level}).log_level == level.strip().lower()


@pytest.mark.parametrize("layout", ["scope", "single", "SINGLE"])
def test_store_layout_is_scope_or_single(layout: str) -> None:
    assert read_settings({"STORE_LAYOUT": layout}).layout == layout.lower()


@pytest.mark.parametrize(
    ("value", "allowed"), [("true", True), ("false", False), ("True", True), ("FALSE", False)]
)
def test_allow_unmanaged_is_true_or_false(value: str, allowed: bool) -> None:
    assert read_settings({"ALLOW_UNMANAGED": value}).allow_unmanaged is allowed


@pytest.mark.parametrize("name", ["rack 7", "a.b-c_d", "knöten", "'quoted'"])
def test_node_name_is_used_unchanged(name: str) -> None:
    assert read_settings({"NODE_NAME": name}).node == name


def test_node_name_defaults_to_the_name_of_the_host() -> None:
    assert read_settings({}).node == gethostname()


def test_store_url_is_a_url_of_mongodb() -> None:
    assert read_settings({"STORE_URL": "mongodb://a,b/"}).store_url == "mongodb://a,b/"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DEFAULT_TAGS", "a b", "cannot be read at 'a b'"),
        ("DEFAULT_TAGS", "a,,b", "there is no tag between two of its separators"),
        ("LOG_LEVEL", "loud", "it must be one of debug, info, warning, error"),
        ("STORE_LAYOUT", "files", "it must be one of scope, single"),
        ("NODE_NAME", "a/b", "printable characters except '/' and '@'"),
        ("NODE_NAME", "a@b", "printable characters except '/' and '@'"),
        ("NODE_NAME", "a\nb", "consists of printable characters"),
        ("STORE_URL", "redis://a", "it must have the form mongodb://HOST1,HOST2,HOST3/"),
        ("ALLOW_UNMANAGED", "yes", "it must be true or false"),
        ("ALLOW_UNMANAGED", "1", "it must be true or false"),
        ("DRIVER_ALIASES", "ingress", "'ingress' is not a valid alias: write NAME=TAGS or NAME="),
        ("DRIVER_ALIASES", "a=b c", "the tags of alias a='b c' cannot be read at 'b c'"),
        ("DRIVER_ALIASES", "a=x ; a=y", "the alias 'a' is listed twice"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_setting_and_what_would_be_right(
    name: str, value: str, why: str
) -> None:
    error = error_of(**{name: value})

    assert error.startswith(f"setting {name}={value!r}: ")
    assert why in error


@pytest.mark.parametrize(
    "bad",
    [
        {"DEFAULT_TAGS": "a b"},
        {"LOG_LEVEL": "loud"},
        {"STORE_LAYOUT": "files"},
        {"ALLOW_UNMANAGED": "yes"},
        {"DRIVER_ALIASES": "ingress"},
    ],
    ids=lambda bad: ",".join(bad),
)
def test_a_wrong_value_is_replaced_by_the_default(bad: dict[str, str]) -> None:
    settings = read_settings(bad)

    assert len(settings.errors) == 1
    assert default_tags(settings) == "default"
    assert settings.log_level == "info"
    assert settings.layout == "scope"
    assert not settings.allow_unmanaged
    assert settings.aliases == (Alias("pyipam"),)


def test_each_wrong_value_is_an_error() -> None:
    settings = read_settings(
        {"DEFAULT_TAGS": ",", "LOG_LEVEL": "x", "STORE_LAYOUT": "x", "ALLOW_UNMANAGED": "x"}
    )

    assert [error.partition("=")[0] for error in settings.errors] == [
        "setting DEFAULT_TAGS",
        "setting LOG_LEVEL",
        "setting STORE_LAYOUT",
        "setting ALLOW_UNMANAGED",
    ]


@given(st.dictionaries(st.sampled_from(NAMES), values))
def test_any_environment_gives_settings_and_printable_errors(
    environment: dict[str, str],
) -> None:
    for error in read_settings(environment).errors:
        assert error.partition("=")[0].removeprefix("setting ") in environment
        error.encode()


# Aliases


def alias_tags(text: str) -> dict[str, str | None]:
    return {
        alias.name: getattr(alias.options.tag_filter, "text", None) for alias in parse_aliases(text)
    }


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        ("pyipam=", {"pyipam": None}),
        (
            "pyipam= ; ingress=ingress ; db=internally_routed+!public",
            {"pyipam": None, "ingress": "ingress", "db": "internally_routed+!public"},
        ),
        ("a=x,y;b= y ;", {"a": "x,y", "b": "y"}),
        (" a = x ", {"a": "x"}),
        (";", {}),
        ("0a.b_c-d=", {"0a.b_c-d": None}),
        ("abcdefghijklmnopq=", {"abcdefghijklmnopq": None}),
    ],
)
def test_aliases_are_names_with_tags_separated_by_semicolons(
    text: str, aliases: dict[str, str | None]
) -> None:
    assert alias_tags(text) == aliases


def test_an_alias_has_options_behind_its_tags() -> None:
    web, lan, db = parse_aliases(
        "web=ingress,db prefix=26,64 ; lan=lan shared=true id=hall; db=prefix=28"
    )
    assert (web.options.length(4), web.options.length(6), web.options.shared) == (26, 64, None)
    assert web.options.tag_filter == parse_tag_filter("ingress,db")
    assert (lan.options.shared, lan.options.label) == (True, "hall")
    assert (db.options.tag_filter, db.options.length(4)) == (None, 28)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("web=ingress prefix=x", "prefix='x' cannot be read at 'x'"),
        ("web=ingress shared=yes", "shared='yes' cannot be read: write true or false"),
        ("web=ingress prefixs=26", "option 'prefixs' is unknown; did you mean 'prefix'?"),
        ("web=ingress owner=alice", "the alias 'web' has the unknown option 'owner'"),
        ("web=ingress prefix=26 64", "the alias 'web' cannot be read at '64'"),
        ("web=ingress prefix=26 prefix=27", "the alias 'web' has two values for prefix"),
        ("web=a scope_filter_tags=b", "the alias 'web' has its tags twice"),
    ],
)
def test_an_option_of_an_alias_that_cannot_be_used_is_refused(text: str, why: str) -> None:
    with pytest.raises((ValueError, InvalidRequest)) as caught:
        parse_aliases(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", "driver", "A", "a b", "a/b", "../a", ".a", "-a", "ä", "abcdefghijklmnopqr", "a\nb"],
)
def test_an_alias_that_docker_or_a_socket_could_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid alias: write NAME=TAGS or NAME="):
        parse_aliases(f"ok=;{name}=x")


def test_the_socket_of_the_longest_alias_fits_into_a_socket_address() -> None:
    places = read_places({"PYIPAM_SOCKET": f"/run/docker/plugins/{'0' * 64}/driver.sock"})

    assert len(str(places.socket_of(Alias("a" * 17)))) < 108


def test_an_alias_listens_beside_the_main_socket() -> None:
    places = read_places({"PYIPAM_SOCKET": "/run/x/driver.sock"})

    assert places.socket_of(Alias("db")) == Path("/run/x/db.sock")


# Places


def test_the_places_inside_the_plugin_agree_with_its_manifest() -> None:
    manifest = json.loads(CONFIG.read_text())
    places = read_places({})

    assert places.socket == Path("/run/docker/plugins") / manifest["interface"]["socket"]
    assert places.state == Path(manifest["propagatedMount"])
    assert places.schema == Path(manifest["mounts"][0]["destination"])
    assert places.user != 0


@pytest.mark.parametrize(
    ("value", "host", "port", "names"),
    [
        ("127.0.0.1:9430", "127.0.0.1", 9430, set()),
        ("localhost:9430", "127.0.0.1", 9430, set()),
        ("[::]:65535 Node1 node1.example", "::", 65535, {"node1", "node1.example"}),
    ],
)
def test_status_address_is_an_address_a_port_and_names(
    value: str, host: str, port: int, names: set[str]
) -> None:
    settings = read_settings({"STATUS_ADDR": value})

    assert settings.status_address == StatusAddress(host, port, frozenset(names))
    assert settings.status_error is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("9430", "it must be ADDRESS:PORT, such as 127.0.0.1:9430 or [::1]:9430"),
        (":9430", "it must be ADDRESS:PORT"),
        ("::1:9430", "it must be ADDRESS:PORT"),
        ("[127.0.0.1]:9430", "it must be ADDRESS:PORT"),
        ("node1.example:9430", "it must be ADDRESS:PORT"),
        ("127.0.0.1:80", "the port must be a number from 1024 to 65535"),
        ("127.0.0.1:70000", "the port must be a number from 1024 to 65535"),
        ("127.0.0.1:", "the port must be a number"),
        ("127.0.0.1:9430 http://node1", "'http://node1' is not the name of a host"),
    ],
)
def test_a_wrong_status_address_is_said_and_stops_nothing_else(value: str, why: str) -> None:
    settings = read_settings({"STATUS_ADDR": value})

    assert settings.status_address is None
    assert settings.errors == ()
    assert settings.status_error is not None
    assert settings.status_error.startswith(f"setting STATUS_ADDR={value!r}: ")
    assert why in settings.status_error
