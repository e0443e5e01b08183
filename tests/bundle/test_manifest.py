"""config.json: what dockerd starts, and what an operator can set."""

from typing import Any

import pytest

from tests.bundle.rootfs import Rootfs

_DEFAULTS = {
    "DEFAULT_TAGS": "default",
    "LOG_LEVEL": "info",
    "STORE_URL": "",
    "STORE_LAYOUT": "scope",
    "NODE_NAME": "",
    "STATUS_ADDR": "",
    "ALLOW_UNMANAGED": "false",
    "DRIVER_ALIASES": "pyipam=",
}


def test_it_is_an_ipam_driver_on_the_main_socket(config: dict[str, Any]) -> None:
    assert config["interface"] == {"types": ["docker.ipamdriver/1.0"], "socket": "driver.sock"}


def test_it_starts_the_server_in_the_isolated_mode_of_the_interpreter(
    config: dict[str, Any],
) -> None:
    assert config["entrypoint"] == ["/usr/bin/python3", "-I", "-m", "pyipam.server"]
    assert config["workdir"] == "/"


def test_the_program_that_it_starts_is_in_the_rootfs(
    config: dict[str, Any], rootfs: Rootfs
) -> None:
    assert (rootfs.path / config["entrypoint"][0].removeprefix("/")).resolve().is_file()


def test_it_asks_for_no_right_but_the_network_of_the_host(config: dict[str, Any]) -> None:
    assert config["network"] == {"type": "host"}
    assert config["linux"] == {"capabilities": []}
    assert not config.keys() & {"ipchost", "pidhost", "user"}


_FILES = {
    "SCHEMA_PATH": "/schema.json",
    "STORE_CREDENTIALS_PATH": "/store-credentials.json",
}


@pytest.mark.parametrize(("name", "destination"), _FILES.items())
def test_the_file_is_a_read_only_mount_whose_source_can_be_set(
    config: dict[str, Any], name: str, destination: str
) -> None:
    (mount,) = [mount for mount in config["mounts"] if mount["name"] == name]

    assert {key: value for key, value in mount.items() if key != "description"} == {
        "name": name,
        "source": "/dev/null",
        "destination": destination,
        "type": "bind",
        "options": ["rbind", "ro"],
        "settable": ["source"],
    }


def test_no_other_file_is_mounted(config: dict[str, Any]) -> None:
    assert [mount["name"] for mount in config["mounts"]] == list(_FILES)


def test_the_state_survives_in_the_propagated_mount(config: dict[str, Any]) -> None:
    assert config["propagatedMount"] == "/state"


@pytest.mark.parametrize(("name", "default"), _DEFAULTS.items())
def test_the_setting_has_its_default_and_can_be_set(
    config: dict[str, Any], name: str, default: str
) -> None:
    (setting,) = [entry for entry in config["env"] if entry["name"] == name]

    assert setting["value"] == default
    assert setting["settable"] == ["value"]


def test_there_is_no_other_setting(config: dict[str, Any]) -> None:
    assert [entry["name"] for entry in config["env"]] == list(_DEFAULTS)


def test_every_setting_is_described(config: dict[str, Any]) -> None:
    assert all(entry["description"] for entry in (*config["env"], *config["mounts"]))
