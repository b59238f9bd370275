"""A hospital group's site that adopts claimkit."""

from example.celery import app as celery_app

__all__ = ["celery_app"]
