"""GET /version and GET /models: what is served here."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request

from api import openapi
from api.context import Context
from api.conversion import API_PREFIX
from api.responses import ModelsResponse, VersionResponse
from composition.config.bento import bento_facts

PACKAGES = ("bentoml", "diffusers", "torch", "transformers")

router = APIRouter(prefix=API_PREFIX, tags=["system"], responses=openapi.errors(*openapi.ANY))


@router.get("/version", response_model=VersionResponse, summary="Which version of the service runs")
async def get_version(request: Request, context: Context) -> dict[str, Any]:
    """The service's version, the Bento it was built into, its main packages, and where the terms are."""
    return {
        "version": request.app.version,
        "profile": context.config.models.profile,
        "bento": bento_facts(),
        "packages": _packages(),
        "terms_url": context.config.api.terms_url,
    }


@router.get("/models", response_model=ModelsResponse, summary="Which models are served")
async def get_models(context: Context) -> dict[str, Any]:
    """Each with its repository, revision and licence; what may be done with the results depends on the licences."""
    return {
        "profile": context.config.models.profile,
        "models": [asdict(model) for model in context.served],
        "terms_url": context.config.api.terms_url,
    }


@cache
def _packages() -> dict[str, str]:
    return {name: found for name in PACKAGES if (found := _version_of(name)) is not None}


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
