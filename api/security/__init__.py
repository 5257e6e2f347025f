"""The guards around every route, BentoML's own ones included: `guards` lists them, outermost first.

They are plain ASGI middlewares, so that they fit `Service.add_asgi_middleware` as well as a FastAPI app. They answer
and never raise: an exception before a response starts would leave the client waiting for the server's timeout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.bodies import max_body_bytes
from api.security.admission import AdmissionGuard
from api.security.answer_budget import AnswerBudgetGuard
from api.security.api_keys import ApiKeyGuard
from api.security.body_limit import BodyLimitGuard
from api.security.failures import FailureGuard, UnknownPathGuard
from api.security.foreign_pages import ForeignPageGuard
from api.security.observation import ObservationGuard
from api.security.rate_limit import RateLimitGuard
from composition.config import ApiConfig

Guard: TypeAlias = tuple[Any, dict[str, Any]]
"""A middleware class and its options."""


def guards(config: ApiConfig, app: FastAPI, *, streamed: Mapping[str, int] | None = None) -> tuple[Guard, ...]:
    """The guards around our app that a configuration asks for, outermost first.

    `streamed` are paths whose bodies are not held in memory, with the bytes that such a body may have.

    Use: `for cls, options in guards(...): service.add_asgi_middleware(cls, **options)`.
    """
    chosen: list[Guard] = [
        (ObservationGuard, {"metrics": app.state.metrics, "access_log": config.access_log}),
        (FailureGuard, {}),
        (UnknownPathGuard, {}),
    ]
    if config.cors_origins:
        chosen.append((CORSMiddleware, _cors_options(config)))
    max_bytes = max_body_bytes(config)
    if config.api_keys:
        chosen.append((ApiKeyGuard, {"api_keys": config.api_keys, "max_body_bytes": max_bytes}))
    else:
        chosen.append((ForeignPageGuard, {"origins": config.cors_origins, "max_body_bytes": max_bytes}))
    chosen.append((AnswerBudgetGuard, {}))
    if config.rate_limit_per_minute:
        chosen.append((RateLimitGuard, {"per_minute": config.rate_limit_per_minute, "max_body_bytes": max_bytes}))
    chosen.append((BodyLimitGuard, {"max_body_bytes": max_bytes, "streamed": streamed}))
    chosen.append((AdmissionGuard, {"own": app, "paths": app.state.edit_paths, "max_body_bytes": max_bytes}))
    return tuple(chosen)


def install_guards(app: FastAPI, config: ApiConfig, *, streamed: Mapping[str, int] | None = None) -> None:
    """Put the guards around an app that is served without BentoML."""
    for cls, options in reversed(guards(config, app, streamed=streamed)):
        app.add_middleware(cls, **options)


def _cors_options(config: ApiConfig) -> dict[str, Any]:
    return {
        "allow_origins": list(config.cors_origins),
        "allow_methods": ["GET", "POST", "DELETE"],
        "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-API-Key"],
        "expose_headers": [
            "Retry-After",
            "X-Job-ID",
            "X-Pipeline",
            "X-Processing-Time-Ms",
            "X-Request-ID",
            "X-Seed",
            "X-Warnings",
        ],
    }
