"""Install the bundle into the user's engine, upgrade it, remove it, or push it.

    install.py install|uninstall|push BUNDLE NAME

The settings (SCHEMA_PATH, LOG_LEVEL, ...) are taken from the environment: SETTINGS_GIVEN names
those that the user has given. FORCE=1 continues even if networks are in use or state would be lost.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from bundle_tar import read_stamp, unpack
from docker_client import (
    Failure,
    docker,
    docker_shown,
    endpoint,
    is_local,
    is_rootless,
    networks_of,
    plugins,
    server,
)
from loopback_registry import LoopbackRegistry

# The program is not installed where this runs.
sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))

import plugin_status

from pyipam.cli import spec_files
from pyipam.cli.refusal import CommandRefused

Settings = dict[str, str]

_SCHEMA = "SCHEMA_PATH"
_SPEC_FOLDERS = spec_files.SpecFolders()
_ALIASES = "DRIVER_ALIASES"
# The settings that name a file on the engine's host.
_PATHS = (_SCHEMA, "STORE_CREDENTIALS_PATH")
# What a status may have problems with, and networks can be made all the same.
_HARMLESS = ("routes", "listener")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def step(text: str) -> None:
    """Tell the user what happens next."""
    print(f"==> {text}", flush=True)


def main() -> None:
    """Do what the arguments say. Exits with a message if that fails."""
    actions: dict[str, Callable[[Path, str], None]] = {
        "install": install,
        "uninstall": uninstall,
        "push": push,
    }
    try:
        action, bundle, name = sys.argv[1:]
        actions[action](Path(bundle), name)
    except Failure as failure:
        sys.exit(f"make {action}: {failure}")
    except KeyboardInterrupt:
        sys.exit(f"make {action}: interrupted")


def install(bundle: Path, name: str) -> None:
    """Create and enable the plugin, or upgrade the one that is installed."""
    engine = server()
    step(f"engine {engine['Version']} at {endpoint()}")
    check_engine(engine, bundle)
    given = _settings_given()
    for setting in _PATHS:
        _check_path(setting, given, engine)
    installed = plugins().get(name)
    if installed is not None:
        _check_short_names(installed, given)
    if installed is None:
        _create_and_enable(bundle, name, given)
    else:
        _upgrade(bundle, name, installed, _settings_of(installed) | given)
    _name_drivers(name)
    _show_first_network(name, given)


def uninstall(bundle: Path, name: str) -> None:
    """Remove the plugin, its state and its short names."""
    installed = plugins().get(name)
    if installed is None:
        raise Failure(
            f"the engine has no plugin {name}; choose another name with PLUGIN=... and TAG=..."
        )
    _check_unused(name, installed)
    step(f"removing {name}, and with it its state: every pool and address that it has given out")
    if installed["Enabled"]:
        _disable(name)
    docker("plugin", "rm", "--force", name)
    _unname_drivers(installed["Id"])


def push(bundle: Path, name: str) -> None:
    """Push the plugin under its name. If it is not installed, it is created for the push only."""
    if name in plugins():
        step(f"pushing {name} as it is installed (make install brings it up to this source tree)")
        docker_shown("plugin", "push", name)
        return
    step(f"creating {name}")
    _create(bundle, name)
    try:
        step(f"pushing {name}")
        docker_shown("plugin", "push", name)
    finally:
        docker("plugin", "rm", "--force", name)


def check_engine(engine: dict[str, Any], bundle: Path) -> None:
    """Raise Failure if the engine, as `docker version` describes it, cannot run the bundle.

    Docker itself creates and enables a plugin of any architecture, and only its process fails.
    """
    bundles = _ARCHITECTURES[read_stamp(bundle)["machine"]]
    if engine["Os"] == "linux" and engine["Arch"] == bundles:
        return
    runs = f"the engine runs {engine['Os']}/{engine['Arch']}, and {bundle} is for linux/{bundles}"
    if engine["Os"] != "linux" or engine["Arch"] not in _ARCHITECTURES.values():
        raise Failure(f"{runs}; pyipam can be built for linux/amd64 and linux/arm64 only")
    raise Failure(f"{runs}; make install ARCH={engine['Arch']} builds and installs one that fits")


def _settings_given() -> Settings:
    names = os.environ.get("SETTINGS_GIVEN", "").split()
    given = {name: os.environ.get(name, "") for name in names}
    # A path that was given empty: nothing is mounted.
    return given | {name: "/dev/null" for name in _PATHS if given.get(name) == ""}


def _check_path(setting: str, given: Settings, engine: dict[str, Any]) -> None:
    path = given.get(setting)
    if not path:
        return
    if not path.startswith("/"):
        raise Failure(f"{setting}={path} is not an absolute path; give one on the engine's host")
    if is_local(engine) and (not Path(path).exists() or Path(path).is_dir()):
        raise Failure(f"{setting}={path}: there is no such file")


def _settings_of(plugin: dict[str, Any]) -> Settings:
    """The settings that the user gave, including where the mounted files come from.

    The source of a mount is read from Config: after a manual upgrade, Settings.Mounts still shows
    the old one, which is no longer used.
    """
    settings = dict(entry.split("=", 1) for entry in plugin["Settings"]["Env"] or [])
    for mount in plugin["Config"]["Mounts"] or []:
        if mount["Name"] in _PATHS:
            settings[mount["Name"]] = mount["Source"] or "/dev/null"
    return settings


def _create_and_enable(bundle: Path, name: str, settings: Settings) -> None:
    step(f"creating {name}")
    _create(bundle, name)
    try:
        _set(name, settings)
        step("enabling it")
        _enable(name)
        _check_that_it_serves(name)
    except BaseException as error:
        docker("plugin", "rm", "--force", name)
        if isinstance(error, Failure):
            raise Failure(f"{error}; {name} was removed again") from None
        raise


def _create(bundle: Path, name: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        unpack(bundle, Path(directory))
        # An engine refuses a rootfs equal to one that it has, even under another name. One that was
        # removed is there for a while: moby deletes its blobs in the background.
        (Path(directory) / "rootfs/usr/share/pyipam/name").write_text(f"{name} {uuid4()}\n")
        docker("plugin", "create", name, directory)


def _set(name: str, settings: Settings) -> None:
    if settings:
        docker("plugin", "set", name, *(f"{key}={value}" for key, value in settings.items()))


def _upgrade(bundle: Path, name: str, installed: dict[str, Any], settings: Settings) -> None:
    """Replace the old version with the new one, which keeps its id, state and settings."""
    step(f"{name} is installed: preparing its upgrade")
    with LoopbackRegistry(bundle) as registry:
        if _is_reached(registry):
            _upgrade_from(registry.reference(), name, installed, settings)
            return
    _replace(bundle, name, installed, settings)


def _is_reached(registry: LoopbackRegistry) -> bool:
    """Whether the engine reaches the registry: it is asked to pull an image that does not exist."""
    try:
        docker("pull", registry.reference("absent"))
    except Failure:
        return registry.requests > 0
    return False


def _upgrade_from(reference: str, name: str, installed: dict[str, Any], settings: Settings) -> None:
    with _uninterrupted():
        if installed["Enabled"]:
            step("disabling it (containers go on)")
            _disable(name)
        before = _settings_of(installed)
        upgraded = False
        try:
            step("upgrading it")
            options = ("--skip-remote-check", "--grant-all-permissions")
            docker("plugin", "upgrade", *options, name, reference)
            upgraded = True
            _set(name, settings)
            step("enabling it")
            _enable(name)
            _check_that_it_serves(name)
        except Failure as failure:
            hopeless = not installed["Enabled"] or (upgraded and settings == before)
            if hopeless or not _is_enabled_again(name, before):
                condition = "enabled" if plugins()[name]["Enabled"] else "disabled"
                raise Failure(f"{failure}; {name} is {condition}, and has its state") from None
            raise Failure(f"{failure}; {name} is enabled as before, and has its state") from None


def _is_enabled_again(name: str, settings: Settings) -> bool:
    step("that failed: enabling it with the settings it had")
    try:
        if plugins()[name]["Enabled"]:
            _disable(name)
        _set(name, settings)
        _enable(name)
    except Failure:
        return False
    return True


def _enable(name: str) -> None:
    """Enable the plugin. An old engine needs a while to forget a process of it that crashed."""
    end = time.monotonic() + 30
    while not plugins()[name]["Enabled"]:
        try:
            docker("plugin", "enable", name)
        except Failure as failure:
            if "id already in use" not in str(failure) or time.monotonic() > end:
                raise
            time.sleep(2)


def _check_that_it_serves(name: str) -> None:
    """Raise Failure if the plugin refuses new networks, with the reasons that its status gives."""
    try:
        status = plugin_status.read(_SPEC_FOLDERS.socket(plugins()[name]["Id"], "driver"))
    except CommandRefused:
        step("its status can only be read on the engine's host, as root: look at dockerd's log")
        return
    problems = [item["message"] for item in status["problems"] if item["about"] not in _HARMLESS]
    for item in status["problems"]:
        if item["about"] in _HARMLESS:
            step(f"note: {item['message']}")
    if problems:
        raise Failure(f"the plugin would refuse new networks: {'; '.join(problems)}")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore signals to stop while the plugin is disabled: its networks wait for it."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _replace(bundle: Path, name: str, installed: dict[str, Any], settings: Settings) -> None:
    """Remove and create the plugin: only if no state would be lost, or the user agrees (FORCE)."""
    used_by = networks_of(_drivers(name, installed))
    if used_by and not _forced():
        raise Failure(
            "this engine cannot reach 127.0.0.1 of this machine, and Docker upgrades plugins only "
            f"from a registry; removing it would lose the addresses of {', '.join(used_by)}. "
            "Run make install on the engine's host, or push the new version (make push TAG=NEW) "
            f"and there: docker plugin disable -f {name}; docker plugin upgrade "
            f"--skip-remote-check --grant-all-permissions {name} REGISTRY/REPOSITORY:NEW; "
            f"docker plugin set {name} SCHEMA_PATH={settings.get(_SCHEMA, '')}; "
            f"docker plugin enable {name}"
        )
    step("no network uses it: removing the old version" if not used_by else "removing it (FORCE)")
    if installed["Enabled"]:
        _disable(name)
    docker("plugin", "rm", "--force", name)
    _create_and_enable(bundle, name, settings)


def _disable(name: str) -> None:
    """Disable the plugin even if networks use it, or Docker believes so: they wait for it."""
    docker("plugin", "disable", "--force", name)


def _forced() -> bool:
    return os.environ.get("FORCE", "") not in ("", "0")


def _drivers(name: str, plugin: dict[str, Any]) -> set[str]:
    """All driver names under which networks may use the plugin."""
    return {name, *spec_files.alias_names(_settings_of(plugin).get(_ALIASES, ""))}


def _check_unused(name: str, installed: dict[str, Any]) -> None:
    used_by = networks_of(_drivers(name, installed))
    if used_by and not _forced():
        raise Failure(
            f"networks take their addresses from {name}: {', '.join(used_by)}. Remove them (docker "
            "network rm). Or set FORCE=1: the plugin and its whole state are then gone, and their "
            'containers cannot start any more. To keep the plan, export it first ("Moving a plan" '
            "in docs/operations.md)"
        )


def _check_short_names(installed: dict[str, Any], given: Settings) -> None:
    """Raise Failure if networks use a short name that is to be dropped."""
    if _ALIASES not in given:
        return
    before = spec_files.alias_names(_settings_of(installed).get(_ALIASES, ""))
    dropped = set(before) - set(spec_files.alias_names(given[_ALIASES]))
    used = {name: networks for name in sorted(dropped) if (networks := networks_of({name}))}
    if used and not _forced():
        users = "; ".join(f"{name} by {', '.join(networks)}" for name, networks in used.items())
        raise Failure(
            f"nothing was done: {_ALIASES}={given[_ALIASES]} drops short names that networks use "
            f"({users}). Keep these names in the list, or remove the networks first (docker "
            "network rm). With FORCE=1 their containers cannot start any more"
        )


def _name_drivers(name: str) -> None:
    """Write the spec files of the plugin's short names, or tell the user how to."""
    everyone = plugins()
    plugin = everyone[name]
    plugin_id = plugin["Id"]
    names = spec_files.alias_names(_settings_of(plugin).get(_ALIASES, ""))
    try:
        if not _SPEC_FOLDERS.socket(plugin_id, "driver").exists():
            raise PermissionError
        living = {other["Id"]: other["Name"] for other in everyone.values()}
        steps = spec_files.write(_SPEC_FOLDERS, plugin_id, names, living)
    except PermissionError:
        if is_rootless():
            step("no short driver names: in a rootless engine, use the full name")
        else:
            _tell_spec_files(plugin_id, names)
        return
    for alias, action in steps:
        if alias in names:
            spec = _SPEC_FOLDERS.spec(alias)
            step(f"short name {alias}: {spec} is {spec_files.OUTCOMES[action]}")


def _tell_spec_files(plugin_id: str, names: list[str]) -> None:
    step("for short driver names, as root on the engine's host:")
    print(f"    mkdir -p {_SPEC_FOLDERS.specs} {_SPEC_FOLDERS.links}")
    for alias in names:
        link = _SPEC_FOLDERS.link(alias)
        print(f"    ln -sfn {_SPEC_FOLDERS.socket(plugin_id, alias)} {link}")
        print(f"    echo unix://{link} > {_SPEC_FOLDERS.spec(alias)}")


def _unname_drivers(plugin_id: str) -> None:
    try:
        removed = spec_files.remove(_SPEC_FOLDERS, plugin_id)
    except PermissionError:
        step(f"remove the files in {_SPEC_FOLDERS.specs} that name {plugin_id}, as root")
        return
    for alias in removed:
        step(f"short name {alias} removed")


def _show_first_network(name: str, given: Settings) -> None:
    tags = "" if _SCHEMA in given else "--ipam-opt scope_filter_tags=null_routed "
    step(f"{name} is enabled. A first network:")
    print(f"    docker network create --ipam-driver {name} {tags}test")


if __name__ == "__main__":
    main()
