"""All of claimkit's API under ``api/v1/``, for the rooms that are installed.

::

    urlpatterns = [..., path("", include("claimkit_django.urls"))]
"""

from __future__ import annotations

from django.apps import apps
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils.module_loading import import_string
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny

from claimkit_django.rest import pages
from claimkit_django.rest.meta import NotHereView, ProblemTypeView, RootView
from claimkit_django.rest.schema import SETTINGS

app_name = "claimkit"

#: Settings of the schema view: what may be patched per view.
_PATCHES = {name: value for name, value in SETTINGS.items() if not name.startswith("SERVE_")}
if apps.is_installed("claimkit_django.webhooks"):
    _PATCHES["POSTPROCESSING_HOOKS"] = [
        *_PATCHES["POSTPROCESSING_HOOKS"],
        "claimkit_django.webhooks.schema.describe_webhooks",
    ]

_rooms: list[URLPattern | URLResolver] = [
    path("", include(f"{app}.urls"))
    for app in (
        "claimkit_django.tenants",
        "claimkit_django.accounts",
        "claimkit_django.claims",
        "claimkit_django.drift",
        "claimkit_django.webhooks",
        "claimkit_django.alerts",
        "claimkit_django.audit",
        "claimkit_django.authorizations",
        "claimkit_django.reports",
        "claimkit_django.automation",
    )
    if apps.is_installed(app)
]

#: Whoever starts at the root is shown what their role may read.
_role_in = (
    import_string("claimkit_django.tenants.rest.role_in")
    if apps.is_installed("claimkit_django.tenants")
    else None
)

_v1: list[URLPattern | URLResolver] = [
    path("", RootView.as_view(role_in=_role_in), name="root"),
    path("problems/<slug:code>/", ProblemTypeView.as_view(), name="problem"),
    *_rooms,
    path(
        "schema/",
        SpectacularAPIView.as_view(custom_settings=_PATCHES, permission_classes=[AllowAny]),
        name="schema",
    ),
    path("docs/", pages.swagger_ui, name="swagger-ui"),
    path("redoc/", pages.redoc, name="redoc"),
    re_path(r"^.*$", NotHereView.as_view()),
]

urlpatterns = [path("api/v1/", include(_v1))]
