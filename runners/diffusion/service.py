"""The diffusion runner as a BentoML service: models on the device, requests batched in flight by the step engine."""

from __future__ import annotations
