"""`make demo`: the plugin in a real Docker engine, with the examples that it was specified by.

The engine is private: it runs in its own namespaces, and is removed at the end with all its files.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from urllib.request import urlopen

# Anybody may run this with any Python: where it is too old, show a sentence instead of a trace.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("make demo needs Python 3.11 or newer")

from pyipam.cli.client import Client, Source
from pyipam.cli.page_server import PageServer
from tests.support.engine import homes
from tests.support.engine.command import CommandFailed
from tests.support.engine.images import load_busybox
from tests.support.engine.objects import DRIVER, Container, Network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine, require_root
from tests.support.engine.releases import release_named
from tests.support.engine.unavailable import Unavailable
from tests.support.engine.unix_http import HttpError
from tests.support.terminal import Terminal, Unexpected

_ROOT = Path(__file__).parents[1]
_SCHEMA = "/etc/pyipam/schema.json"
_TAG = '--ipam-opt "scope_filter_tags="null_routed""'
_ID = '--ipam-opt "id="testnet""'


def build_bundle(terminal: Terminal) -> Path:
    """Build the plugin as a user does; the tar."""
    terminal.heading("Building the plugin")
    terminal.note("make bundle")
    bundle = _ROOT / "build" / "plugin.tar"
    if subprocess.run(
        ["make", "--no-print-directory", "bundle"], cwd=_ROOT, check=False
    ).returncode:
        raise Unavailable("the bundle could not be built: see above")
    return bundle


def install(terminal: Terminal, engine: PrivateEngine, bundle: Path) -> Plugin:
    """Create, configure and enable the plugin, and give it its short name."""
    terminal.heading("Creating, setting and enabling the plugin")
    schema = engine.root / _SCHEMA.lstrip("/")
    schema.parent.mkdir(parents=True)
    schema.write_bytes((_ROOT / "schema.json").read_bytes())
    terminal.note(f"sending build/plugin.tar to the engine: POST /plugins/create?name={DRIVER}")
    plugin = Plugin.create(engine, DRIVER, bundle)
    terminal.command(engine, f"docker plugin set owner/pyipam SCHEMA_PATH={_SCHEMA}")
    terminal.command(engine, "docker plugin enable owner/pyipam")
    terminal.command(engine, "docker plugin ls")
    terminal.expect("the plugin's schema", plugin.status()["schema"]["source"], "mount")
    terminal.note("a spec file lets --ipam-driver take the short name `pyipam`")
    socket = f"/run/docker/plugins/{plugin.id}/pyipam.sock"
    link = "/etc/docker/pyipam/pyipam.sock"
    terminal.command(engine, "mkdir -p /etc/docker/pyipam /etc/docker/plugins")
    terminal.command(engine, f"ln -sfn {socket} {link}")
    terminal.command(engine, f"echo unix://{link} > /etc/docker/plugins/pyipam.spec")
    return plugin


def ipv4(terminal: Terminal, engine: PrivateEngine) -> None:
    """Show the first example of the specification."""
    terminal.heading("An IPv4 network by tag")
    terminal.command(engine, f"docker network create --ipam-driver pyipam test {_TAG} {_ID}")
    terminal.command(engine, "docker network inspect test")
    ipam = engine.inspect("network", "test")["IPAM"]
    options = {"id": "testnet", "scope_filter_tags": "null_routed"}
    terminal.expect("IPAM driver of test", ipam["Driver"], "pyipam")
    terminal.expect("IPAM options of test", ipam["Options"], options)
    _expect_network(terminal, engine, "test", ["100.64.0.0/30"], ["100.64.0.1"])


def ipv6(terminal: Terminal, engine: PrivateEngine) -> None:
    """Show the second example of the specification."""
    terminal.heading("An IPv6 network by tag")
    create = f"docker network create --ipam-driver pyipam test6 {_TAG} {_ID} --ipv6"
    terminal.command(engine, create)
    terminal.command(engine, "docker network inspect test6")
    subnets = ["100.64.0.4/30", "fc00:f00f::/64"]
    _expect_network(terminal, engine, "test6", subnets, ["100.64.0.5", "fc00:f00f::1"])


def containers(terminal: Terminal, engine: PrivateEngine) -> None:
    """Show containers on a network that has room for several."""
    terminal.heading("Containers reach each other and their gateway, over IPv4 and IPv6")
    options = "--ipv6 --ipam-opt scope_filter_tags=general_purpose --ipam-opt prefix=28"
    terminal.command(engine, f"docker network create --ipam-driver {DRIVER} {options} roomy")
    subnets, gateways = ["100.64.64.0/28", "fc00:f00f:4::/64"], ["100.64.64.1", "fc00:f00f:4::1"]
    _expect_network(terminal, engine, "roomy", subnets, gateways)
    terminal.note("an image without a registry: Debian's static busybox, by `docker import`")
    load_busybox(engine)
    for name in ("one", "two"):
        terminal.command(engine, f"docker run --detach --name {name} --network roomy busybox")
    terminal.expect("addresses of one", *_addresses(engine, "one", "2"))
    terminal.expect("addresses of two", *_addresses(engine, "two", "3"))
    for target in ("100.64.64.3", "100.64.64.1", "fc00:f00f:4::3", "fc00:f00f:4::1"):
        terminal.command(engine, f"docker exec one ping -c 2 -w 10 {target}")
        terminal.checks += 1


def nothing_is_lost(terminal: Terminal, engine: PrivateEngine, plugin: Plugin) -> None:
    """Stop and start the plugin, then the engine."""
    terminal.heading("Disabling the plugin and restarting the engine lose nothing")
    before = _held(plugin)
    terminal.command(engine, "docker plugin disable --force owner/pyipam")
    terminal.command(engine, "docker plugin enable owner/pyipam")
    terminal.expect("pools and leases after disable and enable", _held(plugin), before)
    terminal.note("stopping dockerd, then starting it again")
    engine.stop()
    engine.start()
    terminal.command(engine, "docker start one two")
    terminal.expect("pools and leases after an engine restart", _held(plugin), before)
    options = "--ipam-opt scope_filter_tags=null_routed"
    terminal.command(engine, f"docker network create --ipam-driver pyipam {options} third")
    _expect_network(terminal, engine, "third", ["100.64.0.8/30"], ["100.64.0.9"])
    terminal.command(engine, "docker run --detach --name three --network roomy busybox")
    terminal.expect("addresses of three", *_addresses(engine, "three", "4"))
    terminal.command(engine, "docker exec three ping -c 2 -w 10 100.64.64.2")
    terminal.checks += 1


def free_again(terminal: Terminal, engine: PrivateEngine, plugin: Plugin) -> None:
    """Remove everything, and show that its blocks are given out again."""
    terminal.heading("Removed networks give their blocks back")
    terminal.command(engine, "docker rm --force one two three")
    terminal.command(engine, "docker network rm test test6 third roomy")
    terminal.expect("pools the plugin holds", [pool["subnet"] for pool in plugin.pools()], [])
    terminal.command(engine, f"docker network create --ipam-driver pyipam test {_TAG} {_ID}")
    _expect_network(terminal, engine, "test", ["100.64.0.0/30"], ["100.64.0.1"])
    terminal.command(engine, "docker network rm test")
    terminal.command(engine, "docker plugin disable owner/pyipam")
    terminal.command(engine, "docker plugin rm owner/pyipam")


def demonstrate(terminal: Terminal, version: str) -> None:
    """Run all steps, in an engine that is removed whatever happens."""
    require_root()
    release_named(version)
    homes.remove_abandoned(terminal.note)
    bundle = build_bundle(terminal)
    terminal.heading("Starting a private Docker engine")
    with PrivateEngine(version, terminal.note) as engine:
        terminal.note("dockerd runs in namespaces of its own; no other engine is touched")
        terminal.command(engine, "docker version --format '{{.Server.Version}}'")
        plugin = install(terminal, engine, bundle)
        ipv4(terminal, engine)
        ipv6(terminal, engine)
        containers(terminal, engine)
        nothing_is_lost(terminal, engine, plugin)
        if os.environ.get("PAGE"):
            the_page(terminal, plugin)
        free_again(terminal, engine, plugin)
    terminal.note("the engine and everything it left are removed")


def main() -> int:
    """Run the demonstration; the exit code, 0 if all checks have passed."""
    _end_on_sigterm()
    terminal = Terminal(steps=9 if os.environ.get("PAGE") else 8)
    try:
        demonstrate(terminal, os.environ.get("DEMO_ENGINE") or "26.1")
    except Unavailable as missing:
        print(f"\nThe demo cannot run here: {missing}", file=sys.stderr)
        return 2
    except (Unexpected, CommandFailed, HttpError) as error:
        print(f"\nTHE DEMO FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing is left running.", file=sys.stderr)
        return 130
    print(f"\nAll {terminal.checks} checks passed in {terminal.seconds:.0f} s.")
    if not os.environ.get("PAGE"):
        print("To look at all this in a browser: make demo PAGE=1; on your own host: pyipam ui")
    return 0


def the_page(terminal: Terminal, plugin: Plugin) -> None:
    """Serve the page of the plugin until a key is pressed, as `pyipam ui` does."""
    terminal.heading("The plan in a browser")
    socket = plugin.sockets / "driver.sock"
    with PageServer(Client(Source(str(socket), socket)), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            terminal.note(f"open {server.link} and press Enter here when you have seen enough")
            with urlopen(server.link) as answer:
                terminal.expect("HTTP status of the page", answer.status, 200)
            sys.stdin.readline()
        finally:
            server.shutdown()
            thread.join()


def _expect_network(
    terminal: Terminal, engine: PrivateEngine, name: str, subnets: list[str], gateways: list[str]
) -> None:
    network = Network(engine, name)
    terminal.expect(f"subnets of {name}", network.subnets, subnets)
    terminal.expect(f"gateways of {name}", network.gateways, gateways)


def _addresses(engine: PrivateEngine, name: str, last: str) -> tuple[list[str], list[str]]:
    expected = [f"100.64.64.{last}/28", f"fc00:f00f:4::{last}/64"]
    return Container(engine, name).addresses, expected


def _held(plugin: Plugin) -> list[str]:
    """What the plugin holds, without what a restart changes (the time of the last claim)."""
    pools = [f"{pool['space']} {pool['subnet']}" for pool in plugin.pools()]
    return pools + sorted(f"{lease['address']} {lease['kind']}" for lease in plugin.leases())


def _end_on_sigterm() -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


if __name__ == "__main__":
    sys.exit(main())
