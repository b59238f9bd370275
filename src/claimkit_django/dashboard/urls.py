"""Addresses of the dashboard, for the rooms that are installed.

::

    urlpatterns = [..., path("", include("claimkit_django.dashboard.urls"))]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from django.urls import include, path

from claimkit_django.dashboard import overview, tenant_choice
from claimkit_django.dashboard.pages import installed_sections

if TYPE_CHECKING:
    from django.urls import URLPattern, URLResolver

app_name = "claimkit_dashboard"

urlpatterns: list[URLPattern | URLResolver] = [
    *overview.urlpatterns,
    *tenant_choice.urlpatterns,
    # A section whose room is not installed cannot even be imported: its tables are not there.
    *(
        path(
            f"{one.name}/",
            include(import_module(f"claimkit_django.dashboard.{one.name}").urlpatterns),
        )
        for one in installed_sections()
    ),
]
