"""URLs of a site that adopted everything."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("dashboard/", include("claimkit_django.dashboard.urls")),
    path("", include("claimkit_django.ops.urls")),
    path("", include("claimkit_django.urls")),
]
