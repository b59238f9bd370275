from __future__ import annotations

import pytest

from claimkit_django.webhooks import checks


@pytest.fixture
def room(settings):
    def configure(**values):
        settings.CLAIMKIT = {"WEBHOOKS": values}

    return configure


@pytest.mark.parametrize(
    "values",
    [
        {"RETRY_WAITS": ["5 minutes"]},
        {"PORTS": ["https"]},
        {"ALLOWED_NETWORKS": ["marsupilami"]},
        {"PROXY": "egress:4750"},
        {"BATCH_SIZE": 0},
        {"ATTEMPT_SECONDS": -1.0},
    ],
)
def test_a_setting_that_cannot_be_used(room, values):
    room(**values)

    (told,) = checks.check_settings()
    assert told.id == "claimkit_webhooks.E002"
    assert next(iter(values)) in told.msg or "port or network" in told.msg


def test_the_defaults_are_fine(room):
    room()

    assert checks.check_settings() + checks.check_production() + checks.check_cryptography() == []


def test_http_is_no_setting_for_production(room, settings):
    room(ALLOW_HTTP=True)

    assert [one.id for one in checks.check_production()] == ["claimkit_webhooks.E003"]
    settings.DEBUG = True
    assert checks.check_production() == []


def test_what_encrypts_is_missing(monkeypatch):
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)

    assert [one.id for one in checks.check_cryptography()] == ["claimkit_webhooks.E001"]
