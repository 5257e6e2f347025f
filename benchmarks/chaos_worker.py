"""`celery -A benchmarks.chaos_worker worker`: the stand-in's worker."""

from __future__ import annotations

from benchmarks.chaos_stand_in import celery_app

app = celery_app()
