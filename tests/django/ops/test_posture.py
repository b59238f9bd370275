from __future__ import annotations

import json
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import call_command

from claimkit_django.ops import posture


@pytest.fixture
def database(monkeypatch):
    """Let the check see another database than that of the tests."""

    def describe(**values):
        seen = SimpleNamespace(DATABASES={"default": values})
        monkeypatch.setattr(posture, "settings", seen)

    return describe


def ids(found):
    return [one.id for one in found]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:s3cr3t-marsupilami@cache.example:6379/0", ["claimkit_ops.W004"]),
        ("redis://cache.example:6379/0", ["claimkit_ops.W004", "claimkit_ops.W005"]),
        ("amqps://guest:guest@mq.example//", ["claimkit_ops.W005"]),
        ("rediss://:s3cr3t-marsupilami@cache.example:6379/0", []),
        ("redis://localhost:6379/0", []),
        ("redis://127.0.0.1:6379/0", []),
        ("filesystem://localhost", []),
        ("", []),
    ],
)
def test_the_broker(settings, url, told):
    settings.CELERY_BROKER_URL = url

    assert ids(posture.check_broker()) == told


def test_a_password_is_never_repeated(settings):
    settings.CELERY_BROKER_URL = "redis://:changeme@cache.example/0"

    assert not any("changeme" in f"{one.msg}{one.hint}" for one in posture.check_broker())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"HOST": "db.example", "PASSWORD": "spip-long"}, ["claimkit_ops.W006"]),
        ({"HOST": "db.example", "OPTIONS": {"sslmode": "prefer"}}, ["claimkit_ops.W006"]),
        ({"HOST": "db.example", "OPTIONS": {"sslmode": "verify-full"}}, []),
        ({"HOST": "localhost", "PASSWORD": "postgres"}, ["claimkit_ops.W007"]),
        ({"HOST": "/run/postgresql", "USER": "app", "PASSWORD": "app"}, ["claimkit_ops.W007"]),
        ({"OPTIONS": {"service": "claims"}}, []),
        ({}, []),
    ],
)
def test_a_database(database, values, told):
    database(ENGINE="django.db.backends.postgresql", **values)

    assert ids(posture.check_databases()) == told


def test_sqlite_is_not_reached_by_a_network(database):
    database(ENGINE="django.db.backends.sqlite3", NAME="x")

    assert posture.check_databases() == []
    assert posture.check_row_security() == []


@pytest.mark.parametrize(("is_on", "told"), [(True, []), (False, ["claimkit_ops.W008"])])
def test_row_security(database, settings, is_on, told):
    database(ENGINE="django.db.backends.postgresql")
    settings.CLAIMKIT = {"TENANTS": {"ROW_LEVEL_SECURITY": is_on}}

    assert ids(posture.check_row_security()) == told


@pytest.mark.django_db(transaction=True)
def test_the_doctor_tells_of_settings_and_health_in_one_look(settings):
    settings.CELERY_BROKER_URL = "amqps://guest:guest@mq.example//"
    settings.DEBUG = True
    out = StringIO()
    try:
        call_command("claimkit_doctor", format="json", stdout=out)
        failed = False
    except SystemExit as stopped:
        failed = stopped.code == 1
    told = json.loads(out.getvalue())
    by_check = {one["check"]: one for one in told["findings"]}

    assert failed is not told["ok"]
    ranks = [("error", "warning", "ok").index(one["level"]) for one in told["findings"]]
    assert ranks == sorted(ranks)
    # Django's own, ours, and health.
    assert by_check["security.W018"]["level"] == "warning"
    assert "password" in by_check["claimkit_ops.W005"]["told"]
    assert by_check["database"]["level"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_the_strict_doctor_fails_of_what_is_doubtful(settings, capsys):
    settings.CELERY_BROKER_URL = "amqps://guest:guest@mq.example//"

    with pytest.raises(SystemExit) as stopped:
        call_command("claimkit_doctor", strict=True)

    assert stopped.value.code == 1
    assert "WARNING   claimkit_ops.W005: " in capsys.readouterr().out
