from __future__ import annotations

import pytest

from claimkit_django.ops import checks


@pytest.fixture
def room(settings):
    def configure(**values):
        settings.CLAIMKIT = {"OPS": values}

    return configure


@pytest.mark.parametrize(
    "values",
    [
        {"CHECK_SECONDS": 0.0},
        {"OUTBOX_LAG_SECONDS": -1},
        {"KEEP_SECONDS": -1.0},
        {"WORKERS": -1},
        {"DISK_FREE_PERCENT": 51.0},
        {"TENANT_LABEL": "name"},
        {"ALLOWED_NETWORKS": ["192.0.2.1/24"]},
        {"READY": ["migration"]},
    ],
)
def test_a_setting_that_cannot_be_used(room, values):
    room(**values)

    (told,) = checks.check_settings()
    assert told.id == "claimkit_ops.E001"
    assert next(iter(values)) in told.msg


def test_a_wrong_name_is_told_with_the_nearest(room):
    room(READY=["migration"])

    assert "did you mean 'migrations'" in checks.check_settings()[0].msg


def test_a_token_that_can_be_guessed(room):
    room(TOKENS=["k" * 16, "k" * 15])

    (told,) = checks.check_tokens()
    assert told.id == "claimkit_ops.E002"
    assert "kkk" not in told.msg


def test_nobody_but_staff_could_look(room):
    room()
    assert [one.id for one in checks.check_access()] == ["claimkit_ops.W001"]
    for values in ({"TOKENS": ["k" * 16]}, {"ALLOWED_NETWORKS": ["192.0.2.0/24"]}):
        room(**values)
        assert checks.check_access() == []


def test_the_defaults_are_fine(room):
    room()

    assert checks.check_settings() + checks.check_tokens() == []


def test_a_broken_setting_is_told_by_the_tenants_room(settings):
    settings.CLAIMKIT = {"MARSUPILAMI": {}}

    assert checks.check_settings() + checks.check_tokens() + checks.check_access() == []


MIDDLEWARE = "claimkit_django.ops.middleware.MetricsMiddleware"


def test_requests_are_counted_by_the_first_middleware(room, settings, monkeypatch):
    listed = settings.MIDDLEWARE
    assert checks.check_metrics() == []
    settings.MIDDLEWARE = [MIDDLEWARE, *listed]
    monkeypatch.setattr("claimkit_django.ops.metrics._INSTALLED", True)
    assert checks.check_metrics() == []
    settings.MIDDLEWARE = [*listed, MIDDLEWARE]
    assert [one.id for one in checks.check_metrics()] == ["claimkit_ops.W003"]


def test_counting_needs_a_package(settings, monkeypatch):
    settings.MIDDLEWARE = [MIDDLEWARE]
    monkeypatch.setattr("claimkit_django.ops.metrics._INSTALLED", False)

    assert [one.id for one in checks.check_metrics()] == ["claimkit_ops.W002"]
