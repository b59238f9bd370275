from __future__ import annotations

import importlib.util

import pytest

from claimkit_django.reports.checks import check_packages, check_settings


@pytest.mark.parametrize(
    ("room", "said"),
    [
        ({"PAGE": "https://example.org/"}, "['PAGE'] has no {uid}"),
        ({"KEEP_EXPORT_HOURS": 0}, "['KEEP_EXPORT_HOURS'] must be above 0"),
        ({"MAIL_ATTEMPTS": -1}, "['MAIL_ATTEMPTS'] must be above 0"),
    ],
)
def test_settings_that_make_no_report_are_errors(settings, room, said):
    settings.CLAIMKIT = {"REPORTS": room}

    [error] = check_settings()

    assert error.id == "claimkit_reports.E001"
    assert said in error.msg


def test_usual_settings_are_fine(settings):
    settings.CLAIMKIT = {}

    assert check_settings() == []
    settings.CLAIMKIT = {"REPORTS": {"NONSENSE": 1}}
    assert check_settings() == []  # Told by the check of all settings.


def test_missing_packages_are_named_before_a_deployment(monkeypatch):
    assert check_packages() == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    [warning] = check_packages()

    assert warning.id == "claimkit_reports.W002"
    assert "weasyprint and xlsxwriter" in warning.msg
