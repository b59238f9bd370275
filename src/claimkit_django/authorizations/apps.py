"""The authorizations room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["AuthorizationsApp"]


class AuthorizationsApp(AppConfig):
    """Prior authorizations, what was used of them, and warnings before they end."""

    name = "claimkit_django.authorizations"
    label = "claimkit_authorizations"
    verbose_name = _("Authorizations")
    default_auto_field = "django.db.models.BigAutoField"

    #: What rules can be tried on: see :func:`claimkit_django.runtime.past_events`.
    past = (
        "claimkit_django.authorizations.past.past_events",
        (
            "authorizations.expiring",
            "authorizations.exhausting",
        ),
    )

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.authorizations import checks

        checks.register_checks()
