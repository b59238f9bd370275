"""Addresses of the example: claimkit's API beside the site's own pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from example import views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="claimkit_dashboard:index")),
    path("dashboard/", include("claimkit_django.dashboard.urls")),
    path("mail/", views.MailPage.as_view(), name="mail"),
    path("", include("claimkit_django.accounts.page_urls")),
    path("admin/", admin.site.urls),
    path("", include("claimkit_django.ops.urls")),
    path("", include("claimkit_django.urls")),
]
