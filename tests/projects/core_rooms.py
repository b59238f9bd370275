"""A site that adopted tenants, claims and drift, with Celery and without the REST API."""

from __future__ import annotations

from tests.projects.bare import *  # noqa: F403

CELERY_BROKER_URL = "memory://"
