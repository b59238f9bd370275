"""Time zones of tenants, checked against the IANA database of the machine."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

__all__ = ["validate_timezone"]


def validate_timezone(name: str) -> None:
    """Refuse a time zone that the IANA database does not know.

    Raises:
        ValidationError: with code ``timezone_unknown``.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationError(
            _("Use an IANA time zone such as America/New_York."), code="timezone_unknown"
        ) from None
