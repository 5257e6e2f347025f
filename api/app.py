"""The FastAPI application: built at import, given its context when the runners exist.

BentoML mounts an app on the service class while that is being defined; the objects behind the ports exist only in the
running instance, which puts them on `app.state.context`. Requests before that answer 503 NOT_READY.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute

from api.bundle import read_bundle
from api.context import ApiContext
from api.documentation import DocumentedApp
from api.errors import install_error_handlers
from api.forms import refused_form
from api.multipart import RefusedForm
from api.routes import about, admin, generate, jobs, loras, native, openai, pages, system, video, views
from api.routes.page import page_router
from api.security.failures import FailureGuard
from api.security.wrong_keys import WrongKeys
from composition.config import ConfigError
from observability.http import HttpMetrics

TITLE = "Image composition"
VERSION = "0.2.0"
DESCRIPTION = (
    "Prompt-driven image editing: repaints just the part of a photo that a sentence is about. "
    'Every non-2xx body is `{"success": false, "error": {"code", "message", "details"}}`, under `/v1/` OpenAI\'s.'
)


def create_app(
    context: ApiContext | None = None,
    *,
    metrics: HttpMetrics | None = None,
    keys_needed: bool = False,
    docs: bool = True,
    page: bool = True,
    mcp: bool = False,
) -> DocumentedApp:
    """Build the application; mount it at "/", since its routes carry the whole path.

    Args:
        context: ready objects, or None to set `app.state.context` later.
        metrics: series shared with the guards; None makes new ones (`app.state.metrics`).
        keys_needed: whether a guard refuses requests without an API key, for the documentation.
        docs: whether the documentation is served.
        page: whether the page for people is, which needs the documentation: it takes its settings from there.
        mcp: whether the Model Context Protocol is spoken at /mcp.

    Raises:
        ConfigError: it is to be spoken, and its package is not installed.
    """
    app = DocumentedApp(
        keys_needed=keys_needed,
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        redirect_slashes=False,
        openapi_url="/openapi.json" if docs else None,
        docs_url=None,  # the framework's pages load scripts from other hosts; `pages` has ours
        redoc_url=None,
    )
    app.state.context = context
    app.state.metrics = metrics or HttpMetrics()
    app.state.wrong_admin_keys = WrongKeys()
    install_error_handlers(app)
    app.add_exception_handler(RefusedForm, refused_form)
    # Innermost: the framework's own last resort answers, then raises again, and would do so past our guards.
    app.add_middleware(FailureGuard)
    app.include_router(generate.router)
    app.include_router(views.router)
    app.include_router(video.router)
    app.include_router(jobs.router)
    app.include_router(loras.router)
    app.include_router(system.router)
    app.include_router(system.metrics_router)
    app.include_router(about.router)
    app.include_router(admin.router)
    app.include_router(native.router)
    app.include_router(openai.router)
    if mcp:
        app.include_router(_mcp_router())
    if docs and page:
        app.include_router(page_router(read_bundle()))  # before the plain page, which has / otherwise
    if docs:
        app.include_router(pages.router)
    app.state.edit_paths = edit_paths()
    return app


def _mcp_router() -> APIRouter:
    try:
        from api.mcp.server import router
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mcp":
            raise
        raise ConfigError("api.mcp needs the package mcp, which is not installed: pip install 'mcp>=2.3'") from error
    return router


def edit_paths() -> frozenset[str]:
    """The paths of the routes that accept edits."""
    routers = (generate.router, views.router, video.router, native.router, openai.router)
    routes = [route for router in routers for route in router.routes]
    return frozenset(route.path for route in routes if isinstance(route, APIRoute) and _has_body(route))


def _has_body(route: APIRoute) -> bool:
    return route.body_field is not None or "requestBody" in (route.openapi_extra or {})
