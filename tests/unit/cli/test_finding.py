"""Which plugin is asked, and what is said where none can be."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from pyipam.cli.engine import connect
from pyipam.cli.refusal import CommandRefused, EngineAway
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host, plugin_object


def test_the_only_plugin_of_the_engine_is_asked(host: Host, plugin: InProcess) -> None:
    host.engine.known_plugins.append(
        plugin_object("b" * 64, "other:latest") | {"Config": {"Entrypoint": ["/other"]}}
    )

    assert host.run("scopes").code == 0


@pytest.mark.parametrize("name", ["owner/pyipam", "owner/pyipam:latest", "aaaaaaaa"])
def test_a_plugin_is_chosen_by_name_or_id(host: Host, plugin: InProcess, name: str) -> None:
    host.engine.known_plugins.append(plugin_object("b" * 64, "second:latest"))

    assert host.run("scopes", "--plugin", name).code == 0


def test_several_plugins_are_listed_for_a_choice(host: Host) -> None:
    host.engine.known_plugins.append(plugin_object("b" * 64, "second:latest"))

    assert host.refusal("status") == (
        "the engine at unix:///var/run/docker.sock has several pyipam plugins: say with --plugin "
        "which is meant, of owner/pyipam:latest, second:latest"
    )


def test_the_one_that_is_enabled_is_meant(host: Host, plugin: InProcess) -> None:
    host.engine.known_plugins.append(plugin_object("b" * 64, "second:latest", enabled=False))

    assert host.run("scopes").code == 0


def test_an_unknown_plugin_is_refused_with_the_known_ones(host: Host) -> None:
    assert host.refusal("status", "--plugin", "nobody").endswith(
        "has no pyipam plugin nobody; it has owner/pyipam:latest"
    )


def test_an_engine_without_the_plugin_is_told_how_to_get_it(host: Host) -> None:
    host.engine.known_plugins.clear()

    assert "has no pyipam plugin; install it (docker plugin install)" in host.refusal("status")


def test_a_disabled_plugin_is_told_how_to_enable(host: Host) -> None:
    host.engine.known_plugins[:] = [plugin_object(enabled=False)]

    assert host.refusal("status") == (
        "plugin owner/pyipam:latest is disabled: docker plugin enable owner/pyipam"
    )


def test_without_an_engine_the_sentence_says_so(host: Host) -> None:
    host.engine.is_away = True

    assert host.refusal("status") == "the Docker engine does not answer: no such file"


def test_a_socket_can_be_named_without_any_engine(host: Host, plugin: InProcess) -> None:
    host.engine.is_away = True

    assert host.run("scopes", "--socket", host.socket).code == 0


def test_the_path_of_a_socket_may_be_long(host: Host, plugin: InProcess) -> None:
    folder = host.folder / ("long" * 30)
    folder.mkdir()
    (folder / "driver.sock").symlink_to(host.socket)

    assert host.run("scopes", "--socket", folder / "driver.sock").code == 0


def test_inside_the_plugin_its_own_socket_is_asked(host: Host, plugin: InProcess) -> None:
    host.engine.is_away = True
    (host.folder / "sockets" / "driver.sock").symlink_to(host.socket)

    assert host.run("status").code == 0


def test_a_plugin_is_named_in_one_way_only(host: Host) -> None:
    outcome = host.run("status", "--socket", "x", "--plugin", "y")

    assert outcome.code == 2
    assert "name the plugin by one of --plugin, --socket and --url" in outcome.err


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port", "http://[::1"])
def test_a_url_that_names_no_listener_is_refused(host: Host, url: str) -> None:
    assert host.refusal("status", "--url", url) == (
        f"--url {url} is not the address of a listener: write http://HOST:PORT"
    )


def test_a_socket_that_is_missing_may_be_that_of_another_host(host: Host) -> None:
    assert host.refusal("status").startswith(f"there is no socket {host.socket}: the plugin is not")


def test_the_version_of_the_command_is_shown_without_a_plugin(host: Host) -> None:
    outcome = host.run("version")

    assert outcome.code == 0
    assert outcome.out.splitlines()[1].startswith("plugin unknown: there is no socket")


def test_a_socket_of_root_is_explained_with_ways_to_read_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    assert host.refusal("status") == (
        f"only root may open {host.socket}: use sudo; or set STATUS_ADDR of the plugin "
        "(docs/monitoring) and ask with --url; or, without installing anything, run the "
        "command inside the plugin as root: runc --root "
        f"/run/docker/runtime-runc/plugins.moby exec {'a' * 64} /usr/bin/python3 -I -m pyipam "
        "status"
    )


def test_the_command_becomes_a_plugin_of_dockers(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker-pyipam"
    program.touch()
    monkeypatch.setattr("sys.argv", [str(tmp_path / "pyipam")])
    link = host.folder / "docker/cli-plugins/docker-pyipam"

    assert host.run("docker-plugin", "install").code == 0
    assert host.run("docker-plugin", "install").code == 0
    assert link.readlink() == program
    assert host.run("docker-plugin", "uninstall").code == 0
    assert not link.is_symlink()


@pytest.mark.parametrize("variables", [{"DOCKER_CONTEXT": "far"}, {}])
def test_a_context_that_is_not_there_does_not_lead_to_the_engine_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "far"}' if not variables else "{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(CommandRefused, match="there is no context 'far': docker context ls"):
        connect()


def why_away(monkeypatch: pytest.MonkeyPatch, path: Path) -> str:
    """What is said of the engine at a socket that does not answer."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(EngineAway) as refused:
        connect()
    return str(refused.value)


@pytest.mark.parametrize(
    ("is_left", "reason"), [(False, "No such file or directory"), (True, "Connection refused")]
)
def test_an_engine_that_does_not_run_is_named_with_the_reason_and_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_left: bool, reason: str
) -> None:
    path = tmp_path / "docker.sock"
    if is_left:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))

    assert why_away(monkeypatch, path) == (
        f"the Docker engine at unix://{path} does not answer: {reason}; start it (systemctl start "
        "docker), or name another one by DOCKER_HOST or docker context use"
    )


def test_an_engine_that_takes_too_long_is_named_with_the_words_of_the_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "connect", wait)

    said = why_away(monkeypatch, tmp_path / "docker.sock")

    assert re.search(r"docker.sock does not answer: .*timed out", said)


def test_an_engine_that_only_root_may_ask_is_explained_with_the_ways_to_ask_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    assert why_away(monkeypatch, tmp_path / "docker.sock") == (
        f"the Docker engine at unix://{tmp_path}/docker.sock does not answer: Permission denied; "
        "use sudo, or become a member of the group docker"
    )


def test_an_engine_behind_ssh_is_on_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://far")

    with pytest.raises(CommandRefused, match="the engine at ssh://far runs on another host"):
        connect()


def test_a_socket_without_a_name_counts_as_left_out(host: Host, plugin: InProcess) -> None:
    assert host.run("scopes", "--socket", "").code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["pools", "--filter", "tag=small", "--filter", "tag=default"],
            "--filter tag=default: tag is chosen twice; once will do",
        ),
        (
            ["leases", "--filter", "pool=local/10.0.0.0/24", "--pool", "local/10.0.1.0/24"],
            "pool is chosen twice, as 'local/10.0.0.0/24' and as 'local/10.0.1.0/24'",
        ),
    ],
)
def test_nothing_is_chosen_twice(host: Host, arguments: list[str], why: str) -> None:
    outcome = host.run(*arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert why in outcome.err
