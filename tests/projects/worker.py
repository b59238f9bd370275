"""The Celery application of the test sites, as a project's own ``celery.py`` has it."""

from __future__ import annotations

from celery import Celery

app = Celery("claimkit_tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
