"""The user's own docker client, with its engine, context and credentials."""

import json
import os
import platform
import shutil
import subprocess
from typing import Any


class Failure(Exception):
    """Why a command failed, and what would help, in one sentence for the user."""


def docker(*arguments: str) -> str:
    """Run the client, and return what it printed. Raises Failure with its message if it fails."""
    if not shutil.which("docker"):
        raise Failure("there is no docker client on the PATH; install one")
    # In a session of its own, so that Ctrl-C reaches this program and not the client.
    done = subprocess.run(
        ("docker", *arguments),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    if done.returncode:
        message = done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}"
        raise Failure(f"docker {' '.join(arguments[:2])}: {message}")
    return done.stdout


def docker_shown(*arguments: str) -> None:
    """Run the client on the user's terminal, for commands that take long. Raises Failure."""
    if subprocess.run(("docker", *arguments), check=False).returncode:
        raise Failure(f"docker {' '.join(arguments[:2])} failed")


def inspect(kind: str, *names: str) -> list[dict[str, Any]]:
    """What `docker KIND inspect` says about these objects."""
    found: list[dict[str, Any]] = json.loads(docker(kind, "inspect", *names)) if names else []
    return found


def server() -> dict[str, Any]:
    """The engine that answers: `Version`, `Os`, `Arch`, `KernelVersion`."""
    said: dict[str, Any] = json.loads(docker("version", "--format", "{{json .Server}}"))
    return said


def endpoint() -> str:
    """The address at which the client finds its engine."""
    if os.environ.get("DOCKER_HOST") and not os.environ.get("DOCKER_CONTEXT"):
        return os.environ["DOCKER_HOST"]
    return docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()


def is_local(engine: dict[str, Any]) -> bool:
    """Whether the engine sees this machine's files: a UNIX socket, and the same kernel."""
    return endpoint().startswith("unix://") and engine["KernelVersion"] == platform.release()


def is_rootless() -> bool:
    """Whether the engine runs without root, in namespaces of its own."""
    return "name=rootless" in docker("info", "--format", "{{.SecurityOptions}}")


def plugins() -> dict[str, dict[str, Any]]:
    """All plugins of the engine, by full name."""
    ids = docker("plugin", "ls", "--quiet", "--no-trunc").split()
    return {plugin["Name"]: plugin for plugin in inspect("plugin", *ids)}


def networks_of(drivers: set[str]) -> list[str]:
    """The names of the networks that use one of these IPAM drivers."""
    ids = docker("network", "ls", "--quiet", "--no-trunc").split()
    found = inspect("network", *ids)
    return sorted(network["Name"] for network in found if network["IPAM"]["Driver"] in drivers)
