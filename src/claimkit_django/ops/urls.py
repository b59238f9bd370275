"""Addresses of the ops room; include them where probes look for them, mostly at the root.

::

    urlpatterns = [..., path("", include("claimkit_django.ops.urls"))]
"""

from __future__ import annotations

from django.urls import path

from claimkit_django.ops import views

app_name = "claimkit_ops"

urlpatterns = [
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("health/", views.health, name="health"),
    path("metrics", views.metrics, name="metrics"),
]
