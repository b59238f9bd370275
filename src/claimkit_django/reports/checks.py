"""System checks of the reports room.

==========================  ==================================================================
``claimkit_reports.E001``  a setting of the reports room cannot be used
``claimkit_reports.W002``  packages of PDF and workbooks are not installed
==========================  ==================================================================
"""

from __future__ import annotations

import importlib.util
from typing import Any

from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config

__all__ = ["register_checks"]

_NUMBERS = (
    "max_findings",
    "mail_attempts",
    "max_attachment_bytes",
    "keep_export_hours",
    "dead_after_minutes",
)


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)
    checks.register(check_packages, deploy=True)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each setting that no report can be made with."""
    try:
        room = read_config().reports
    except ConfigError:
        return []
    wrong = [f"[{name.upper()!r}] must be above 0" for name in _NUMBERS if getattr(room, name) <= 0]
    if room.page and "{uid}" not in room.page:
        wrong.append("['PAGE'] has no {uid}")
    return [
        checks.Error(
            f"CLAIMKIT['REPORTS']{one}.",
            hint="Remove it to use the default.",
            id="claimkit_reports.E001",
        )
        for one in wrong
    ]


def check_packages(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W002 where reports can be made as HTML, JSON, Markdown and CSV only."""
    missing = [
        name for name in ("weasyprint", "xlsxwriter") if importlib.util.find_spec(name) is None
    ]
    if not missing:
        return []
    return [
        checks.Warning(
            f"{' and '.join(missing)} not installed: reports have no PDF or no workbooks.",
            hint="Install 'claimkit[reports]'.",
            id="claimkit_reports.W002",
        )
    ]
