"""The WSGI application of one socket: routes, and how errors become replies."""

from __future__ import annotations

import traceback
from typing import Any

import falcon
import orjson

from pyipam import log
from pyipam.api.driver import DriverCalls
from pyipam.api.views import Inventory
from pyipam.errors import (
    Exhausted,
    InUse,
    InvalidRequest,
    NotHeld,
    NotManaged,
    PyipamError,
    Unavailable,
)
from pyipam.runtime.plugin import Plugin
from pyipam.settings import Alias
from pyipam.store.errors import Conflict

CALLS = "/IpamDriver."
# The list, in the environment of a request, to which its refusals are added: whoever makes the
# calls of a commit notes them once it has succeeded.
REFUSALS = "pyipam.refusals"
_STATUSES: tuple[tuple[type[PyipamError], str], ...] = (
    (InvalidRequest, falcon.HTTP_400),
    (NotManaged, falcon.HTTP_422),
    (NotHeld, falcon.HTTP_404),
    (InUse, falcon.HTTP_409),
    (Exhausted, falcon.HTTP_409),
    (Unavailable, falcon.HTTP_503),
)


def make_app(plugin: Plugin, alias: Alias) -> falcon.App[Any, Any]:
    """The application for the driver name that this socket serves."""
    app = falcon.App(media_type=falcon.MEDIA_JSON)
    calls = DriverCalls(plugin, alias)
    inventory = Inventory(plugin)
    app.add_route("/Plugin.Activate", calls, suffix="activate")
    for name, suffix in DriverCalls.ROUTES.items():
        app.add_route(f"{CALLS}{name}", calls, suffix=suffix)
    for name in Inventory.ROUTES:
        app.add_route(f"/v1/{name}", inventory, suffix=name)

    def refused(
        request: falcon.Request, response: falcon.Response, error: PyipamError, _: Any
    ) -> None:
        if isinstance(error, Conflict):
            # All calls of the commit are decided anew.
            raise error
        if request.path.startswith(CALLS):
            call = request.path.removeprefix("/")
            refusals = request.env.get(REFUSALS)
            if refusals is None:
                plugin.refuse(call, error)
            else:
                refusals.append((call, error))
        status = next(status for kind, status in _STATUSES if isinstance(error, kind))
        _reply(response, status, str(error))

    def not_served(
        request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: Any
    ) -> None:
        _reply(
            response,
            falcon.code_to_http_status(error.status),
            f"{request.method} {request.path}: {error.title}",
        )

    def failed(
        request: falcon.Request, response: falcon.Response, error: Exception, _: Any
    ) -> None:
        trace = "".join(traceback.format_exception(error))
        log.error("fault", path=request.path, trace=trace)
        _reply(
            response,
            falcon.HTTP_500,
            f"a fault of pyipam ({type(error).__name__}); please report it with the plugin's log",
        )

    app.add_error_handler(Exception, failed)
    app.add_error_handler(falcon.HTTPError, not_served)
    app.add_error_handler(PyipamError, refused)
    return app


def refusal_body(error: PyipamError) -> bytes:
    """What Docker reads of a reply that is not 200 (moby, pkg/plugins/client.go)."""
    return _body(str(error))


def _body(message: str) -> bytes:
    return orjson.dumps({"Err": message})


def _reply(response: falcon.Response, status: str, message: str) -> None:
    response.status = status
    response.data = _body(message)
    response.content_type = falcon.MEDIA_JSON
