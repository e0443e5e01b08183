"""The WSGI application of one socket: routes, and how errors become replies."""

from __future__ import annotations

import traceback
from typing import Any

import falcon
import orjson

from pyipam import log
from pyipam.api.driver import CALL_PREFIX, DriverCalls
from pyipam.api.metrics import HEALTH_PATH, METRICS_PATH, Monitoring
from pyipam.api.page import Page
from pyipam.api.repairs import REPAIR_PREFIX, Repairs
from pyipam.api.status_guard import StatusGuard
from pyipam.api.views import VIEW_PREFIX, Views
from pyipam.errors import PyipamError
from pyipam.runtime.meters import outcome_of
from pyipam.runtime.plugin import Plugin
from pyipam.settings import Alias
from pyipam.store.errors import Conflict

# The list, in the environment of a request, to which its refusal is added: who makes the calls of
# a commit notes refusals once the commit has succeeded. Without a list, they are noted at once.
REFUSALS = "pyipam.refusals"
# Paths of what only looks begin with one of these.
VIEW_PATHS = (VIEW_PREFIX, METRICS_PATH, HEALTH_PATH)
# By what outcome_of says of an error.
_STATUSES = {
    "invalid": falcon.HTTP_400,
    "not_managed": falcon.HTTP_422,
    "not_held": falcon.HTTP_404,
    "in_use": falcon.HTTP_409,
    "exhausted": falcon.HTTP_409,
    "unavailable": falcon.HTTP_503,
}


def make_app(plugin: Plugin, alias: Alias) -> falcon.App[Any, Any]:
    """The application for the driver name that this socket serves."""
    app = falcon.App(media_type=falcon.MEDIA_JSON)
    calls = DriverCalls(plugin, alias)
    app.add_route("/Plugin.Activate", calls, suffix="activate")
    for name, suffix in DriverCalls.ROUTES.items():
        app.add_route(f"{CALL_PREFIX}{name}", calls, suffix=suffix)
    repairs = Repairs(plugin)
    for name, suffix in Repairs.ROUTES.items():
        app.add_route(f"{REPAIR_PREFIX}{name}", repairs, suffix=suffix)
    _add_views(app, plugin)
    _add_error_handlers(app, plugin)
    return app


def make_status_app(plugin: Plugin) -> falcon.App[Any, Any]:
    """The application of the listener on TCP: what only looks, for those who ask for this host."""
    address = plugin.settings.status_address
    guard = StatusGuard(frozenset() if address is None else address.names)
    app = falcon.App(media_type=falcon.MEDIA_JSON, middleware=[guard])
    _add_views(app, plugin)
    _add_error_handlers(app, plugin)
    return app


def _add_views(app: falcon.App[Any, Any], plugin: Plugin) -> None:
    """Add what only looks."""
    views = Views(plugin)
    monitoring = Monitoring(plugin, views)
    page = Page()
    for resource in (views, monitoring, page):
        _answer_head(resource)
    for name in Views.ROUTES:
        app.add_route(f"{VIEW_PREFIX}{name}", views, suffix=name)
    app.add_route(METRICS_PATH, monitoring, suffix="metrics")
    app.add_route(HEALTH_PATH, monitoring, suffix="healthz")
    for path in Page.ROUTES:
        app.add_route(path, page, suffix="file")


def _answer_head(resource: object) -> None:
    """Let HEAD be answered as GET is; falcon leaves the body out."""
    for name in dir(resource):
        if name.startswith("on_get_"):
            setattr(resource, name.replace("get", "head", 1), getattr(resource, name))


def _add_error_handlers(app: falcon.App[Any, Any], plugin: Plugin) -> None:
    def refused(
        request: falcon.Request, response: falcon.Response, error: PyipamError, _: Any
    ) -> None:
        if isinstance(error, Conflict):
            # All calls of the commit are to be made again.
            raise error
        if request.path.startswith(CALL_PREFIX):
            call = request.path.removeprefix("/")
            refusals = request.env.get(REFUSALS)
            if refusals is None:
                plugin.note_refusal(call, error)
            else:
                refusals.append((call, error))
        _reply(response, _STATUSES[outcome_of(error)], str(error))

    app.add_error_handler(Exception, _failed)
    app.add_error_handler(falcon.HTTPError, _not_served)
    app.add_error_handler(PyipamError, refused)


def _not_served(
    request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: Any
) -> None:
    response.set_headers(error.headers or {})
    _reply(
        response,
        falcon.code_to_http_status(error.status),
        f"{request.method} {request.path}: {error.title}",
    )


def _failed(request: falcon.Request, response: falcon.Response, error: Exception, _: Any) -> None:
    trace = "".join(traceback.format_exception(error))
    log.error("internal error", path=request.path, trace=trace)
    _reply(
        response,
        falcon.HTTP_500,
        f"an internal error of pyipam ({type(error).__name__}); please report it together with "
        "the plugin's log",
    )


def refusal_body(error: PyipamError) -> bytes:
    """The body of an error reply, as Docker reads it (moby, pkg/plugins/client.go)."""
    return _body(str(error))


def _body(message: str) -> bytes:
    return orjson.dumps({"Err": message})


def _reply(response: falcon.Response, status: str, message: str) -> None:
    response.status = status
    response.data = _body(message)
    response.content_type = falcon.MEDIA_JSON
