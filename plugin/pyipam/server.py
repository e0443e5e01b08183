"""The process: the sockets first, then everything else.

dockerd connects half a second after it has started the plugin, and then only every three seconds.
So the main socket listens before anything heavy is imported; a call that comes early waits in it.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
from functools import partial
from pathlib import Path
from types import FrameType

_BACKLOG = 1024


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    socket_path = Path(os.environ.get("PYIPAM_SOCKET", "/run/docker/plugins/driver.sock"))
    main_socket = _listen(socket_path)

    # Imported only now that the socket listens: see the docstring of the module.
    from pyipam import log
    from pyipam.api.app import make_app, make_status_app
    from pyipam.core.clock import Clock
    from pyipam.driver_names import MAIN_DRIVER
    from pyipam.host.kernel_routes import open_host_routes
    from pyipam.host.route import NoRoutes
    from pyipam.plan.schema_source import MountedFile
    from pyipam.runtime.configured_store import open_configured_store
    from pyipam.runtime.plugin import Plugin
    from pyipam.serving.loop import serve
    from pyipam.serving.status_server import StatusService
    from pyipam.settings import Alias, read_places, read_settings

    settings = read_settings(os.environ)
    places = read_places(os.environ)
    log.to_stdout(settings.log_level)
    sockets = {Alias(MAIN_DRIVER): main_socket}
    for alias in settings.aliases:
        sockets[alias] = _listen(places.socket_of(alias))
    mounted = MountedFile(places.schema)
    _hand_over(places.state, places.user)
    credentials = _read_as_root(places.credentials)
    _become(places.user)
    open_store = partial(open_configured_store, settings, places, credentials)
    routes = open_host_routes() if places.host_routes else NoRoutes()
    plugin = Plugin(settings, places, mounted, open_store, Clock(), routes)
    try:
        status = StatusService(plugin.status_listener, make_status_app(plugin))
        serve(plugin, sockets, partial(make_app, plugin), status)
    finally:
        plugin.close()
        log.info("stopped")
        log.flush_at_exit()


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener


def _read_as_root(path: Path) -> str:
    """The file with the credentials, which perhaps only root can read; empty if nothing is mounted,
    or it cannot be read."""
    try:
        return path.read_bytes().decode(errors="replace") if path.is_file() else ""
    except OSError as error:
        from pyipam import log

        # If the database needs them, every call is refused with a message that names the setting.
        log.error("the credentials cannot be read", reason=error.strerror)
        return ""


def _hand_over(state: Path, user: int) -> None:
    """Make the state folder, and make the user the owner of all of it."""
    try:
        _change_owner(state, user)
    except OSError as error:
        from pyipam import log

        # What comes of it is found by the store, and every call is refused with that.
        log.warning(
            "the owner of the state could not be changed", folder=state, reason=error.strerror
        )


def _change_owner(state: Path, user: int) -> None:
    """What `_hand_over` does. Raises OSError."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.getuid() != 0 or user == 0:
        return
    for folder, _, files in os.walk(state):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            if os.lstat(path).st_uid != user:
                os.lchown(path, user, user)


def _become(user: int) -> None:
    """Give up root for this user, for good."""
    if os.getuid() != 0 or user == 0:
        return
    _open_root_folder()
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _open_root_folder() -> None:
    # dockerd makes the root folder of a plugin root's alone: others could not open any path.
    mode = os.stat("/").st_mode
    if not mode & stat.S_IXOTH:
        os.chmod("/", stat.S_IMODE(mode) | stat.S_IXGRP | stat.S_IXOTH)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # Nothing has begun yet that would have to be finished. An exception could get lost here, as
    # Python drops those raised in callbacks, some of which run when a module is imported.
    os._exit(0)


if __name__ == "__main__":
    main()
