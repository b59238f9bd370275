"""The accounts room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["AccountsApp"]


class AccountsApp(AppConfig):
    """API tokens, and pages to sign in and out."""

    name = "claimkit_django.accounts"
    label = "claimkit_accounts"
    verbose_name = _("Accounts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and note when sessions begin."""
        from claimkit_django.accounts import checks, sessions

        checks.register_checks()
        sessions.connect_sign_ins()
