"""Addresses of the example: claimkit's API beside the site's own pages."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from example import views

urlpatterns = [
    path("", views.start, name="start"),
    path("files/", views.uploads, name="uploads"),
    path("alerts/", views.alerts, name="alerts"),
    path("alerts/<slug:uid>/<slug:act>/", views.act_on_alert, name="act-on-alert"),
    path("mail/", views.mail, name="mail"),
    path("tenant/", views.choose_tenant, name="choose-tenant"),
    path("reports/<slug:key>/", views.report, name="report"),
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("dashboard/", include("claimkit_django.dashboard.urls")),
    path("admin/", admin.site.urls),
    path("", include("claimkit_django.ops.urls")),
    path("", include("claimkit_django.urls")),
]
