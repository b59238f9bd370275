"""The site's own app."""

from __future__ import annotations

from django.apps import AppConfig


class ExampleApp(AppConfig):
    """Pages over claimkit; no tables of its own."""

    name = "example"
    verbose_name = "Lakeshore Health"
