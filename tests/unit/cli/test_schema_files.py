"""`check`, `diff` and `plan --schema`: a schema, before it is put in force."""

from __future__ import annotations

import copy
import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from pyipam.host.route import Route
from pyipam.space.block import block_of
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host
from tests.unit.cli.plans import DOCUMENT, SCHEMA, make_network


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "new.json"
    path.write_text(text)
    return path


def _changed(tmp_path: Path, **keys: Any) -> Path:
    """The schema in force with other keys in its first scope."""
    document = copy.deepcopy(DOCUMENT)
    document["scopes"][0].update(keys)
    return _written(tmp_path, json.dumps(document, indent=2))


def test_a_good_schema_has_no_errors(host: Host, tmp_path: Path) -> None:
    file = _written(
        tmp_path,
        '{"schema_version": 1, "scopes": '
        '[{"network": "10.7.0.0", "prefix": 16, "child_prefix": 24}]}',
    )

    assert host.run("check", file) == (0, f"{file}: no errors, no warnings\n", "")


def test_every_error_has_its_line_and_column(host: Host, tmp_path: Path) -> None:
    file = _written(
        tmp_path,
        '{\n  "schema_version": 1,\n  "scopes": [\n    {"network": "10.0.0.0", "prefix": 99,\n'
        '     "tags": ["good", "b d"], "colour": 1}\n  ]\n}\n',
    )

    outcome = host.run("check", file)

    assert outcome.code == 1
    assert [line.split(" ")[:3] for line in outcome.out.splitlines()] == [
        [f"{file}:4:29:", "error:", "$.scopes[0].prefix:"],
        [f"{file}:5:23:", "error:", "$.scopes[0].tags[1]:"],
        [f"{file}:5:31:", "error:", "$.scopes[0].colour:"],
    ]


def test_what_is_missing_is_at_the_place_around_it(host: Host, tmp_path: Path) -> None:
    file = _written(tmp_path, '{"schema_version": 1,\n "scopes": [\n  {"prefix": 8}]}')

    assert host.run("check", file).out.startswith(f"{file}:3:3: error: $.scopes[0].network: it is")


def test_what_is_not_json_is_said_where_it_ceases_to_be(host: Host, tmp_path: Path) -> None:
    file = _written(tmp_path, '{"schema_version": 1,\n "scopes": [,]}')

    assert host.run("check", file) == (
        1,
        f"{file}:2:13: error: $: this is not valid JSON: Expecting value\n",
        "",
    )


@pytest.mark.parametrize("text", ["", "[" * 100_000, '"', "{}", "[]", "nul", '{"a": 1, "a": 2}'])
def test_any_text_is_answered_with_errors(host: Host, tmp_path: Path, text: str) -> None:
    outcome = host.run("check", _written(tmp_path, text))

    assert outcome.code == 1
    assert "error: $" in outcome.out


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"network": "10.7.0.0", "prefix": 16, "child_prefix": 30}, "too small for a service"),
        ({"network": "fd00::", "prefix": 64, "child_prefix": 126}, "too small for a service"),
        ({"network": "172.16.0.0", "prefix": 12, "child_prefix": 24}, "docker0"),
        ({"network": "100.64.0.0", "prefix": 16, "child_prefix": 24}, "tailnets (Tailscale)"),
        ({"network": "fd7a:115c:a1e0::", "prefix": 48, "child_prefix": 64}, "tailnets (Tailscale)"),
    ],
)
def test_what_was_probably_not_intended_is_a_warning_and_not_an_error(
    host: Host, tmp_path: Path, scope: dict[str, Any], words: str
) -> None:
    file = _written(tmp_path, json.dumps({"schema_version": 1, "scopes": [scope]}, indent=1))

    outcome = host.run("check", file)

    assert outcome.code == 0
    assert outcome.out.startswith(f"{file}:5:4: warning: $.scopes[0].network: scope ")
    assert words in outcome.out
    assert host.run("check", "-q", file).out == ""


def test_a_route_of_the_host_over_a_scope_is_a_warning(host: Host, tmp_path: Path) -> None:
    host.routes = [
        Route(block_of(ip_network("10.0.3.0/24")), "tun0"),
        Route(block_of(ip_network("192.168.0.0/24")), "eth0"),
    ]

    outcome = host.run("check", _written(tmp_path, SCHEMA))

    assert outcome.code == 0
    (line,) = (line for line in outcome.out.splitlines() if "has a route" in line)
    assert line.endswith(
        ":5:7: warning: $.scopes[0].network: scope 10.0.0.0/16 overlaps 10.0.3.0/24, to which this "
        "host has a route (tun0): on this host, no network gets a block there automatically"
    )


def test_a_route_over_what_gives_out_nothing_is_no_warning(host: Host, tmp_path: Path) -> None:
    host.routes = [Route(block_of(ip_network("10.0.3.0/24")), "tun0")]
    scopes = [{"network": "10.0.0.0", "prefix": 16}]
    file = _written(tmp_path, json.dumps({"schema_version": 1, "scopes": scopes}))

    assert host.run("check", file).out == f"{file}: no errors, no warnings\n"


def test_a_file_that_does_not_exist_is_named(host: Host, tmp_path: Path) -> None:
    assert host.refusal("check", tmp_path / "no") == f"{tmp_path / 'no'}: No such file or directory"


def test_findings_can_be_had_as_json(host: Host, tmp_path: Path) -> None:
    (finding,) = host.run("check", "--json", _written(tmp_path, "[")).json

    assert finding["kind"] == "error"
    assert (finding["line"], finding["column"]) == (1, 2)


@pytest.mark.usefixtures("plugin")
def test_the_schema_in_force_has_no_differences(host: Host, tmp_path: Path) -> None:
    assert host.run("diff", _written(tmp_path, SCHEMA)) == (0, "no differences\n", "")


@pytest.mark.usefixtures("plugin")
def test_changed_added_and_removed_scopes_are_differences(host: Host, tmp_path: Path) -> None:
    file = _changed(
        tmp_path,
        child_prefix=26,
        tags=["default", "new"],
        scopes=[{"network": "10.0.2.0", "prefix": 24, "child_prefix": 28, "tags": ["more"]}],
    )

    outcome = host.run("diff", file)

    assert outcome.code == 3
    assert outcome.out.splitlines() == [
        "changed 10.0.0.0/16: child_prefix 24 -> 26; tags default -> default,new",
        "removed 10.0.1.0/24: its tags were small",
        "added 10.0.2.0/24: its tags are more",
    ]
    assert host.run("diff", "-q", file) == (3, "", "")


def test_pools_that_no_scope_would_contain_are_named_with_their_networks(
    host: Host, plugin: InProcess, tmp_path: Path
) -> None:
    pool = make_network(plugin)
    host.engine.add_network("shop", pool.partition("/")[2])
    file = _written(tmp_path, json.dumps(DOCUMENT | {"scopes": DOCUMENT["scopes"][1:]}))

    outcome = host.run("diff", file, "--json")

    assert outcome.code == 3
    assert [each for each in outcome.json if each["kind"] == "outside"] == [
        {
            "kind": "outside",
            "what": pool,
            "detail": "is in no scope, and lives on until network shop is removed",
        }
    ]


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("command", [["diff"], ["plan", "--schema"]])
def test_a_schema_with_errors_is_not_compared(
    host: Host, tmp_path: Path, command: list[str]
) -> None:
    file = _written(tmp_path, "{}")

    assert host.refusal(*command, file).startswith(f"{file} has 2 errors, the first of them $.")


def test_the_only_error_of_a_schema_is_told_at_once(host: Host, tmp_path: Path) -> None:
    file = _written(tmp_path, "{")

    assert host.refusal("plan", "--schema", file).startswith(f"{file} has an error: $: this is not")


@pytest.mark.parametrize("option", ["--plugin", "--socket", "--url"])
def test_a_plan_of_a_schema_is_not_asked_of_a_plugin_as_well(
    host: Host, tmp_path: Path, option: str
) -> None:
    outcome = host.run("plan", "--schema", _written(tmp_path, SCHEMA), option, "http://x")

    assert (outcome.code, outcome.out) == (2, "")
    assert "leave out --plugin, --socket and --url" in outcome.err


def test_a_plan_of_a_schema_needs_no_plugin(host: Host, tmp_path: Path) -> None:
    host.engine.is_away = True
    file = _written(tmp_path, SCHEMA)

    assert host.run("plan", "small", "--schema", file, "-q").out == "10.0.1.0/29\n"
    assert host.run("plan", "--schema", file, "-q").out == "10.0.0.0/24\n"
    assert host.run("plan", "nobody", "--schema", file).code == 1
