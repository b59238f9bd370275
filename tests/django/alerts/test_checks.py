from __future__ import annotations

import pytest

from claimkit_django.alerts.checks import check_mail, check_settings


@pytest.mark.parametrize(
    "room",
    [
        {"RETRY_WAITS": ["soon"]},
        {"THREADS": 0},
        {"POLL_SECONDS": 0.0},
        {"MAX_SILENCE_DAYS": 0},
        {"REOPEN_DAYS": -1},
        {"PAGE": "https://claims.example.org/alerts/"},
    ],
)
def test_settings_that_no_worker_can_work_with(settings, room):
    settings.CLAIMKIT = {"ALERTS": room}

    assert [one.id for one in check_settings()] == ["claimkit_alerts.E002"]


def test_settings_that_can_be_used(settings):
    settings.CLAIMKIT = {"ALERTS": {"PAGE": "https://claims.example.org/alerts/{uid}/"}}

    assert check_settings() == []


@pytest.mark.parametrize(("kind", "is_told"), [("console", True), ("dummy", True), ("smtp", False)])
def test_mail_that_goes_nowhere(settings, kind, is_told):
    backend = f"django.core.mail.backends.{kind}.EmailBackend"
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend

    assert [one.id for one in check_mail()] == ["claimkit_alerts.W003"] * is_told
    settings.DEBUG = True
    assert check_mail() == []
