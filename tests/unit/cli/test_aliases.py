"""`pyipam aliases`: the files that lead from short names to the plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyipam.cli.spec_files import Step, take
from tests.unit.cli.host import PLUGIN_ID, Host, plugin_object

OTHER_ID, GONE_ID = "b" * 64, "c" * 64


@pytest.fixture(autouse=True)
def aliases(host: Host) -> None:
    """The plugin has two short names, and a socket on this host."""
    host.socket.touch()
    host.engine.known_plugins[:] = [plugin_object(aliases="pyipam= ; web=ingress prefix=26")]


def _states(host: Host, *options: str) -> dict[str, str]:
    return {step["name"]: step["action"] for step in host.run("aliases", "--json", *options).json}


def _leads_to(host: Host, name: str) -> Path:
    link = Path(host.spec_folders.spec(name).read_text().removeprefix("unix://"))
    return link.readlink()


def test_each_short_name_leads_to_its_socket(host: Host) -> None:
    assert _states(host) == {"pyipam": "write", "web": "write"}

    assert _leads_to(host, "web") == host.folder / "sockets" / PLUGIN_ID / "web.sock"
    assert _states(host) == {"pyipam": "keep", "web": "keep"}


def test_a_plugin_that_was_installed_again_gets_its_names_back(host: Host) -> None:
    take(host.spec_folders, GONE_ID, Step("web", "write"))

    assert _states(host) == {"pyipam": "write", "web": "take over"}
    assert _leads_to(host, "web") == host.folder / "sockets" / PLUGIN_ID / "web.sock"


def test_a_file_that_was_written_by_hand_is_refreshed(host: Host) -> None:
    host.spec_folders.specs.mkdir()
    host.spec_folders.spec("web").write_text(f"unix://{host.socket.with_name('web.sock')}\n")

    assert _states(host)["web"] == "refresh"
    assert _states(host)["web"] == "keep"


def test_a_name_that_docker_takes_for_the_id_of_a_plugin_is_refused(host: Host) -> None:
    host.engine.known_plugins[:] = [plugin_object(aliases=f"pyipam= ; {PLUGIN_ID[:3]}=")]

    outcome = host.run("aliases")

    assert outcome.code == 1
    assert [row[2].partition(":")[0] for row in outcome.cells] == ["written", "not usable"]
    assert host.spec_folders.names() == ["pyipam"]


def test_a_name_that_is_no_longer_set_is_removed(host: Host) -> None:
    host.run("aliases")
    host.engine.known_plugins[:] = [plugin_object(aliases="pyipam=")]

    assert _states(host) == {"pyipam": "keep", "web": "remove"}
    assert host.spec_folders.names() == ["pyipam"]


def test_names_of_a_plugin_that_is_gone_are_removed(host: Host) -> None:
    take(host.spec_folders, GONE_ID, Step("old", "write"))

    assert _states(host) == {"pyipam": "write", "web": "write", "old": "clear"}
    assert host.spec_folders.names() == ["pyipam", "web"]
    assert not host.spec_folders.link("old").is_symlink()


def test_a_file_of_a_plugin_that_is_gone_is_left_alone_if_it_was_written_by_hand(
    host: Host,
) -> None:
    host.spec_folders.specs.mkdir()
    by_hand = f"unix://{host.spec_folders.socket(GONE_ID, 'old')}"
    host.spec_folders.spec("old").write_text(by_hand)

    assert "old" not in _states(host)
    assert host.spec_folders.spec("old").read_text() == by_hand


def test_names_of_a_plugin_of_another_engine_on_this_host_are_left_alone(host: Host) -> None:
    take(host.spec_folders, OTHER_ID, Step("other", "write"))
    host.spec_folders.socket(OTHER_ID, "other").parent.mkdir()

    assert "other" not in _states(host)
    assert "other" in host.spec_folders.names()


def test_names_can_be_removed_after_the_plugin_itself(host: Host) -> None:
    host.run("aliases")
    host.engine.known_plugins.clear()
    host.socket.unlink()
    host.socket.parent.rmdir()

    assert _states(host, "--remove") == {"pyipam": "clear", "web": "clear"}
    assert host.spec_folders.names() == []
    assert _states(host, "--remove") == {}


def test_names_of_others_are_left_alone_with_the_code_1(host: Host) -> None:
    host.engine.known_plugins.append(plugin_object(OTHER_ID, "other:latest", enabled=False))
    take(host.spec_folders, OTHER_ID, Step("web", "write"))
    host.spec_folders.spec("pyipam").write_text("tcp://localhost:8080")

    outcome = host.run("aliases")

    assert outcome.code == 1
    assert [row[2] for row in outcome.cells] == ["left alone: it leads elsewhere"] * 2
    assert host.spec_folders.spec("pyipam").read_text() == "tcp://localhost:8080"


def test_a_dry_run_says_what_would_be_done_and_does_nothing(host: Host) -> None:
    outcome = host.run("aliases", "--dry-run")

    assert [row[2] for row in outcome.cells] == ["to be written"] * 2
    assert not host.spec_folders.specs.exists()


def test_names_that_a_plugin_left_are_said_to_be_removable(host: Host) -> None:
    host.engine.known_plugins.clear()
    assert "--remove" not in host.refusal("aliases")
    take(host.spec_folders, GONE_ID, Step("web", "write"))

    assert host.refusal("aliases").endswith(
        ". To remove the short names that lead to a plugin that is gone (web), run pyipam aliases "
        "--remove"
    )


def test_all_names_of_the_plugin_can_be_removed(host: Host) -> None:
    host.run("aliases")

    assert _states(host, "--remove") == {"pyipam": "remove", "web": "remove"}
    assert host.spec_folders.names() == []


def test_the_files_are_not_written_on_another_host(host: Host) -> None:
    host.socket.unlink()

    assert host.refusal("aliases") == (
        "plugin owner/pyipam:latest has no socket on this host: run pyipam aliases on the engine's "
        "host, as root"
    )


def test_who_may_not_write_the_files_is_told_to_be_root(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)

    assert host.refusal("aliases") == f"only root may write to {host.spec_folders.specs}: use sudo"
