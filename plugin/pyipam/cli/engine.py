"""The Docker engine, asked through its SDK: DOCKER_HOST, or the context of the docker command.

The SDK is imported when it is needed: inside the plugin's root file system it is not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from pyipam.cli.docker_objects import without_nulls
from pyipam.cli.refusal import CommandRefused, EngineAway

_TIMEOUT_SECONDS = 30
# Of tasks: containers, and what stands for a container that is put on an attachable network, which
# the API leaves out unless it is asked for (moby, daemon/cluster/tasks.go, GetTasks).
_RUNTIMES = ("container", "attachment", "")
_EVENT_TYPES = ("network", "container")


class Engine(Protocol):
    """What the commands ask of an engine: the objects of its API, as docs.docker.com has them, but
    without what is null.

    Each method raises EngineAway if the engine does not answer.
    """

    address: str

    def plugins(self) -> list[dict[str, Any]]:
        """The managed plugins, enabled or not."""

    def disable_plugin(self, name: str) -> None:
        """Disable a plugin, even while networks use it."""

    def enable_plugin(self, name: str) -> None:
        """Enable a plugin."""

    def networks(self) -> list[dict[str, Any]]:
        """The networks, without their containers."""

    def containers(self) -> list[dict[str, Any]]:
        """The containers, running or not, with their networks."""

    def network(self, network_id: str) -> dict[str, Any] | None:
        """A network with its endpoints; None if it is gone."""

    def container(self, container_id: str) -> dict[str, Any] | None:
        """A container with its networks; None if it is gone."""

    def events(self, since: float) -> Iterator[dict[str, Any]]:
        """What happens to networks and containers, and has happened since that UNIX time, in
        seconds. Ends when the engine does."""

    def info(self) -> dict[str, Any]:
        """What `docker info` shows."""

    def services(self) -> list[dict[str, Any]]:
        """The services of the swarm, of a manager only."""

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks of the swarm, of a manager only, with those that stand for containers on its
        attachable networks."""

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes of the swarm, of a manager only."""


class Plugin(NamedTuple):
    """A plugin of an engine that is pyipam, with its settings by name."""

    id: str
    name: str
    is_enabled: bool
    aliases: str
    settings: Mapping[str, str] = MappingProxyType({})

    @property
    def short_name(self) -> str:
        """The name without the tag that Docker adds by itself."""
        return self.name.removesuffix(":latest")


def connect() -> Engine:
    """The engine that the docker command would use. Raises EngineAway, and CommandRefused where no
    engine is said, or one on another host."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        raise EngineAway(
            "Docker cannot be asked from here, as there is no docker SDK for Python; name the "
            "plugin's socket with --socket"
        ) from None
    address = ""
    try:
        address = _address_of_engine()
        client = docker.from_env(timeout=_TIMEOUT_SECONDS, version="auto")
    except (DockerException, OSError, ValueError) as error:
        raise EngineAway(_no_answer(address, error)) from None
    return DockerEngine(client.api)


def _address_of_engine() -> str:
    """The address that DOCKER_HOST or the context says. Raises CommandRefused if that leads to no
    engine that can be asked: for a context that is not there, the SDK takes the engine of this
    host, which docker does not."""
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    address = os.environ.get("DOCKER_HOST")
    if not address:
        name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
        context = ContextAPI.get_context(name)
        if context is None:
            raise CommandRefused(
                f"there is no context {name!r}: docker context ls shows those that there are, and "
                "DOCKER_CONTEXT or docker context use names another one"
            )
        address = context.Host or ""
    if address.startswith("ssh://"):
        raise CommandRefused(f"the engine at {address} runs on another host; run pyipam there")
    return address


class DockerEngine:
    """An engine behind a client of the SDK."""

    def __init__(self, api: Any) -> None:
        self._api = api
        # The SDK turns unix:///path into http+docker://localhost, and keeps the path.
        path = getattr(api, "_custom_adapter", None)
        self.address = str(getattr(path, "socket_path", "") or api.base_url)

    def plugins(self) -> list[dict[str, Any]]:
        return self._list("plugins")

    def disable_plugin(self, name: str) -> None:
        self._ask("disable_plugin", name, force=True)

    def enable_plugin(self, name: str) -> None:
        self._ask("enable_plugin", name, timeout=_TIMEOUT_SECONDS)

    def networks(self) -> list[dict[str, Any]]:
        return self._list("networks")

    def containers(self) -> list[dict[str, Any]]:
        return self._list("containers", all=True)

    def network(self, network_id: str) -> dict[str, Any] | None:
        return self._inspect("inspect_network", network_id)

    def container(self, container_id: str) -> dict[str, Any] | None:
        return self._inspect("inspect_container", container_id)

    def events(self, since: float) -> Iterator[dict[str, Any]]:
        from docker.errors import DockerException

        stream = self._ask(
            "events", since=f"{since:.9f}", filters={"type": list(_EVENT_TYPES)}, decode=True
        )
        try:
            yield from map(without_nulls, stream)
        except (DockerException, OSError) as error:
            raise EngineAway(_no_answer(self.address, error)) from None

    def _inspect(self, method: str, subject: str) -> dict[str, Any] | None:
        from docker.errors import NotFound

        try:
            found: dict[str, Any] = self._ask(method, subject)
        except EngineAway as error:
            if isinstance(error.__context__, NotFound):
                return None
            raise
        return found

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("info") or {}
        return found

    def services(self) -> list[dict[str, Any]]:
        return self._list("services")

    def tasks(self) -> list[dict[str, Any]]:
        return self._list("tasks", filters={"runtime": list(_RUNTIMES)})

    def nodes(self) -> list[dict[str, Any]]:
        return self._list("nodes")

    def _list(self, method: str, **how: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask(method, **how) or []
        return found

    def _ask(self, method: str, *what: Any, **how: Any) -> Any:
        from docker.errors import DockerException

        try:
            answer = getattr(self._api, method)(*what, **how)
        # The SDK lets errors of requests through, which are errors of the system.
        except (DockerException, OSError) as error:
            raise EngineAway(_no_answer(self.address, error)) from None
        return without_nulls(answer)


def _no_answer(address: str, error: Exception) -> str:
    where = f" at {address}" if address else ""
    cause = _cause(error)
    hint = ""
    if isinstance(cause, PermissionError):
        hint = "; use sudo, or become a member of the group docker"
    elif isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
        hint = (
            "; start it (systemctl start docker), or name another one by DOCKER_HOST or "
            "docker context use"
        )
    reason = (isinstance(cause, OSError) and cause.strerror) or cause
    return f"the Docker engine{where} does not answer: {reason}{hint}"


def _cause(error: Exception) -> BaseException:
    """What the system said, where the SDK and its libraries have wrapped that into errors of their
    own; otherwise the error itself."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner
        inner = inner.__cause__ or inner.__context__
    return error


def pyipam_plugins(engine: Engine) -> list[Plugin]:
    """The plugins of the engine that are pyipam, by name. Raises EngineAway."""
    found = []
    for plugin in engine.plugins():
        config = plugin.get("Config") or {}
        if any("pyipam" in word for word in config.get("Entrypoint") or ()):
            settings = _settings_in(plugin.get("Settings") or {})
            found.append(
                Plugin(
                    plugin["Id"],
                    plugin["Name"],
                    bool(plugin.get("Enabled")),
                    settings.get("DRIVER_ALIASES", ""),
                    settings,
                )
            )
    return sorted(found, key=lambda plugin: plugin.name)


def _settings_in(settings: dict[str, Any]) -> dict[str, str]:
    """What `docker plugin set` sets: variables, and the sources of mounts by their names. A mount
    of /dev/null counts as not set."""
    found = dict(str(entry).partition("=")[::2] for entry in settings.get("Env") or ())
    for mount in settings.get("Mounts") or ():
        source = str(mount.get("Source") or "")
        found[str(mount.get("Name"))] = "" if source == os.devnull else source
    return found
