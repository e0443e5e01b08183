"""The settings of the plugin, its short names, and the privileges of its process."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine.objects import clear, create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.program import UNPRIVILEGED_UID, wait_until

_DEFAULTS = {
    "DEFAULT_TAGS": "default",
    "DRIVER_ALIASES": "pyipam=",
    "LOG_LEVEL": "info",
    "STORE_LAYOUT": "scope",
    "STATUS_ADDR": "",
}
_LISTENER = "127.0.0.1:9430"


@pytest.fixture
def defaults(engine: PrivateEngine, plugin: Plugin) -> Iterator[None]:
    """Restore the default settings of the plugin after the test."""
    yield
    clear(engine)
    plugin.restart_with(**_DEFAULTS)


@pytest.mark.any_engine
@pytest.mark.usefixtures("defaults")
def test_default_tags_choose_the_scope_of_networks_without_tags(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    plugin.restart_with(DEFAULT_TAGS="egress,general_purpose")

    assert create_network(engine, "net").subnets == ["100.64.48.0/30"]
    assert create_network(engine, "other", tags="ingress").subnets == ["100.64.32.0/30"]


@pytest.mark.any_engine
@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_TAGS", "a++b"),
        ("DRIVER_ALIASES", "no alias"),
        ("LOG_LEVEL", "loud"),
        ("STORE_LAYOUT", "heap"),
    ],
)
def test_an_invalid_setting_refuses_new_networks_by_name_and_value_and_leaves_others_working(
    engine: PrivateEngine, plugin: Plugin, name: str, value: str
) -> None:
    create_network(engine, "net", "--ipam-opt", "prefix=28")
    plugin.restart_with(**{name: value})

    refused = try_network(engine, "other")

    assert refused.code == 1
    assert name in refused.stderr
    assert value in refused.stderr
    assert run_container(engine, "one", "net").addresses == ["100.64.0.2/28"]


@pytest.mark.usefixtures("defaults")
def test_an_alias_stands_for_its_tags(engine: PrivateEngine, plugin: Plugin) -> None:
    plugin.restart_with(DRIVER_ALIASES="pyipam= ; ingress=ingress ; data=internally_routed+!egress")
    plugin.point_alias("ingress")
    plugin.point_alias("data")

    assert create_network(engine, "web", driver="ingress").subnets == ["100.64.32.0/30"]
    assert create_network(engine, "db", driver="data").subnets == ["100.64.16.0/30"]
    assert create_network(engine, "net", driver="pyipam").subnets == ["100.64.0.0/30"]
    named = create_network(engine, "named", driver="ingress", tags="egress")
    assert named.subnets == ["100.64.48.0/30"]


def test_networks_under_both_names_survive_an_engine_restart(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    short = create_network(engine, "short", "--ipam-opt", "prefix=28", driver="pyipam")
    full = create_network(engine, "full", "--ipam-opt", "prefix=28")
    one = run_container(engine, "one", "short")
    two = run_container(engine, "two", "full")
    before = [one.addresses, two.addresses]

    engine.restart()
    engine.must("start", "one", "two")

    assert [one.addresses, two.addresses] == before == [["100.64.0.2/28"], ["100.64.0.18/28"]]
    assert [pool["claimed"] for pool in plugin.pools()] == [True, True]
    assert one.reaches(short.gateways[0])
    assert two.reaches(full.gateways[0])


def test_each_change_is_one_line_in_the_log_of_the_engine(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--subnet", "100.64.7.0/24").remove()

    plugin.wait_for_line("level=INFO pool released ", "100.64.7.")
    changes = [line for line in plugin.log if "100.64.7." in line]

    assert len(changes) == 4
    kinds = ("pool", "lease", "lease released", "pool released")
    for line, kind in zip(changes, kinds, strict=True):
        assert f"level=INFO {kind} " in line


@pytest.mark.any_engine
@pytest.mark.usefixtures("defaults")
def test_a_higher_log_level_omits_changes(engine: PrivateEngine, plugin: Plugin) -> None:
    plugin.restart_with(LOG_LEVEL="warning")

    create_network(engine, "net", "--subnet", "100.64.8.0/24").remove()

    assert [line for line in plugin.log if "100.64.8." in line] == []


@pytest.mark.any_engine
def test_the_status_shows_refused_requests(engine: PrivateEngine, plugin: Plugin) -> None:
    try_network(engine, "net", tags="nobody_has_this")

    refusal = plugin.status()["refusals"][-1]

    assert refusal["call"] == "IpamDriver.RequestPool"
    assert "nobody_has_this" in refusal["message"]


def test_the_plugin_runs_as_an_unprivileged_user_without_capabilities(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    status = (engine.root / "proc" / str(plugin.process()) / "status").read_text()

    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(UNPRIVILEGED_UID)] * 4
    assert fields["Gid"].split() == [str(UNPRIVILEGED_UID)] * 4
    assert fields["CapEff"] == fields["CapPrm"] == "0" * 16


def _files(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Every file below the folder, with what changes when it is written or replaced.

    Empty files and links are left out: the engine creates some at each start, as mount points.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    seen = {path: path.stat() for path in files}
    return {path: (s.st_ino, s.st_size, s.st_mtime_ns) for path, s in seen.items() if s.st_size}


def test_the_plugin_writes_only_to_its_state(engine: PrivateEngine, plugin: Plugin) -> None:
    root = plugin.state.parent / "rootfs"
    plugin.restart_with(LOG_LEVEL="debug")
    before, state_before = _files(root), _files(plugin.state)

    network = create_network(engine, "net", "--ipv6")
    run_container(engine, "one", "net").remove()
    try_network(engine, "refused", tags="nobody_has_this")
    network.remove()
    plugin.restart_with(LOG_LEVEL="info")

    assert len(before) > 500
    assert _files(root) == before
    assert _files(plugin.state) != state_before


def test_the_sockets_and_their_folder_belong_to_root(plugin: Plugin) -> None:
    folder = plugin.sockets.stat()

    assert folder.st_uid == 0
    assert not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    for socket in plugin.sockets.glob("*.sock"):
        assert not socket.stat().st_mode & stat.S_IWOTH
        assert socket.stat().st_uid == 0


def _scraped(engine: PrivateEngine) -> str:
    """What the listener shows to somebody on the host of the engine."""
    url = f"http://{_LISTENER}/metrics"
    return engine.must("run", "--rm", "--network=host", "busybox", "wget", "-qO-", url)


@pytest.mark.usefixtures("defaults")
def test_metrics_can_be_scraped_from_the_host_where_status_addr_says_so(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    plugin.restart_with(STATUS_ADDR=_LISTENER)
    create_network(engine, "net", "--ipam-opt", "prefix=28")
    run_container(engine, "one", "net")

    lines = _scraped(engine).splitlines()

    assert 'pyipam_pools{state="in_use"} 1.0' in lines
    # The gateway and the container.
    assert 'pyipam_leases{scope="100.64.0.0/20",state="in_use"} 2.0' in lines
    assert 'pyipam_requests_total{call="RequestPool",outcome="ok"} 1.0' in lines


@pytest.mark.usefixtures("defaults")
def test_a_status_addr_that_is_taken_is_said_and_used_once_it_is_free(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    published = f"--publish={_LISTENER}:80"
    engine.must("run", "--detach", "--name=other", published, "busybox", "sleep", "1000")
    plugin.restart_with(STATUS_ADDR=_LISTENER)

    create_network(engine, "net")
    said = [problem["message"] for problem in plugin.status()["problems"]]
    assert len(said) == 1
    assert f"nobody listens at {_LISTENER} (Address already in use)" in said[0]

    engine.must("rm", "--force", "other")
    wait_until(lambda: not plugin.status()["problems"], "the listener is there")
    assert 'pyipam_pools{state="in_use"} 1.0' in _scraped(engine).splitlines()
