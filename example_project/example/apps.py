"""The site's own app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class ExampleApp(AppConfig):
    """Pages over claimkit; no tables of its own."""

    name = "example"
    verbose_name = "Lakeshore Health"

    def ready(self) -> None:
        """Register the site's own check of how it stands."""
        from example.posture import check_demo_people

        checks.register(check_demo_people, checks.Tags.security, deploy=True)
