"""Addresses of the pages to sign in and out, and for passwords."""

from __future__ import annotations

from django.urls import path

from claimkit_django.accounts import pages

app_name = "claimkit_accounts"

urlpatterns = [
    path("login/", pages.LoginPage.as_view(), name="login"),
    path("logout/", pages.LogoutPage.as_view(), name="logout"),
    path("password/", pages.ResetPage.as_view(), name="password_reset"),
    path("password/asked/", pages.ResetAskedPage.as_view(), name="password_reset_done"),
    path(
        "password/<uidb64>/<token>/",
        pages.ResetConfirmPage.as_view(),
        name="password_reset_confirm",
    ),
    path("password/change/", pages.ChangePage.as_view(), name="password_change"),
    path("password/changed/", pages.ChangeDonePage.as_view(), name="password_change_done"),
    path("password/done/", pages.ResetDonePage.as_view(), name="password_reset_complete"),
]
