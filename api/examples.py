"""The request that the documentation shows: complete, small, and accepted by the service as it stands."""

from __future__ import annotations

from typing import Any

_PERSON = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAQAAAAEABAMAAACuXLVVAAAAD1BMVEXN1t7etJZ4dG5GYIw0NDxG2eCZAAABfElEQVR42u3cTW6DMBAG"
    "UJt20SVcoVfo/e/Qm+BtF5W7qBT1h0bYTEA079tEsQA/zdgJSiRSEhERERERuffkbadPKaVaDgPk8fN13nCNIWD+NB0DuMy/STBEzL9F"
    "0A8Yr7zbA5CDFvMQU4D+EgxR2zfvDBhXjNz8cyAkQ1AHunswRHWgtwcnbUGO+147aQXGhtF/ug0PBuTAuystOCdgbBzXAgAAAIBreeg5"
    "6e1pebxowd0AatOwFtxgG/6xD8sdtaCGrcGzroHFRVD2rECN6sBpW7DQg7JvBWpQB7or8KsEJe28BmpMAfor8KMEZX/AN8GcDgB8Eczp"
    "EMBFsOVfs4Yfll4aLvv+6o4IAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAOA0gPy8+tCWJ2+tf1qb"
    "FgAcDnhsOXgK3wNNgHk9YLYGAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1ucDVXwqglkaQMoAAAAASUVORK5CYII="
)
_JACKET = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAGAAAABgAgMAAACf9p+rAAAACVBMVEX6+vrw3HiWKCxPGcjoAAAANUlEQVR42u3LMQ0AIQAEweEVIgk9"
    "dG8GOyCAUFKQ3LaTJd2rgA7mX8Fo+E5HIBAIBALPQdpaXpkEjvC3+g8AAAAASUVORK5CYII="
)

EXAMPLE_REQUEST: dict[str, Any] = {
    "base_image": _PERSON,
    "prompt": "person wearing this designer jacket",
    "reference_image": _JACKET,
    "negative_prompt": "deformed, distorted, low quality",
    "config": {"num_inference_steps": 25, "guidance_scale": 7.5, "seed": 42},
}
"""A painted person of 256x256 pixels and a jacket of 96x96, as data URLs; both may be http(s) URLs too."""
