"""URLs of a site that adopted everything."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("claimkit_django.ops.urls")),
    path("", include("claimkit_django.urls")),
]
