"""Each check looks at the real thing, and sees when it is broken."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from claimkit.ops.health import Status, Vital
from claimkit_django.alerts.models import Notification
from claimkit_django.ops import probes
from claimkit_django.tenants.vitals import RowSecurityCheck
from claimkit_django.tenants.vitals import health_checks as tenant_checks
from claimkit_django.vitals import OutboxCheck, backlog_of, health_checks
from claimkit_django.webhooks.models import Delivery


def webhooks_check():
    return OutboxCheck("webhooks", Delivery, using=USING, worker="claimkit_deliver")


def test_rooms_and_site_name_their_checks(ops):
    names = [one.name for one in health_checks(USING)]

    assert len(names) == len(set(names))
    assert {"database", "cache", "migrations", "disk", "webhooks", "alerts"} <= set(names)


@pytest.mark.django_db
def test_a_database_answers_with_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert probes.DatabaseCheck(USING).look() == Vital()


def test_the_checks_have_the_alias_in_their_name():
    assert probes.DatabaseCheck("replica").name == "database:replica"
    assert probes.CacheCheck("default").name == "cache"


def test_a_cache_gives_back_what_it_was_given(settings):
    assert probes.CacheCheck("default").look() == Vital()
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert probes.CacheCheck("default").look().status is Status.FAILING
    assert "cache" not in {one.name for one in probes.health_checks(USING)}


def test_a_cache_keeps_nothing_of_the_check(settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "ops"}
    }
    probes.CacheCheck("default").look()

    assert caches["default"]._cache == {}


@pytest.mark.django_db
def test_pending_migrations_fail_until_they_are_applied(django_assert_num_queries):
    check = probes.MigrationsCheck(USING)
    newest = MigrationRecorder.Migration.objects.filter(app="claimkit_alerts").latest("pk")

    assert check.look() == Vital()
    with django_assert_num_queries(2):
        assert check.look() == Vital()
    newest.delete()
    found = check.look()
    assert (found.status, found.figures["pending"]) == (Status.FAILING, 1)
    assert f"claimkit_alerts.{newest.name}" in found.note
    MigrationRecorder(connection).record_applied("claimkit_alerts", newest.name)
    assert check.look() == Vital()


def test_a_full_disk_fails_and_one_that_fills_up_is_told(ops, tmp_path, monkeypatch):
    check = probes.DiskCheck((str(tmp_path), "."))
    real = probes._free_percent(".")

    assert check.look().status in Status
    for free, status in ((4.9, "failing"), (9.9, "degraded"), (10.0, "ok")):
        ops(DISK_FREE_PERCENT=5.0)
        monkeypatch.setattr(probes, "_free_percent", lambda one, free=free: free)
        assert check.look().status == status
    assert 0 < real <= 100


def test_folders_that_are_written_to_are_looked_at(ops, settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path)

    assert probes._written_folders()[1:] == (str(tmp_path),)
    ops(DISK_PATHS=[str(tmp_path / "gone")])
    (disk,) = [one for one in probes.health_checks(USING) if one.name == "disk"]
    with pytest.raises(FileNotFoundError):
        disk.look()


# -- Celery -------------------------------------------------------------------------------------


@pytest.fixture
def celery_app():
    celery = pytest.importorskip("celery")

    def make(broker):
        return celery.Celery("probed", broker=broker, set_as_current=False)

    return make


def test_a_broker_takes_connections_or_fails(celery_app, ops):
    from kombu.exceptions import OperationalError

    assert probes.BrokerCheck(celery_app("memory://")).look() == Vital()
    ops(CHECK_SECONDS=0.2)
    # Nobody listens on the discard port of this machine.
    with pytest.raises(OperationalError, match="refused"):
        probes.BrokerCheck(celery_app("pyamqp://127.0.0.1:9//")).look()


def test_too_few_workers_fail(celery_app, ops):
    ops(CHECK_SECONDS=0.02)
    found = probes.WorkersCheck(celery_app("memory://"), least=1).look()

    assert (found.status, found.figures) == (Status.FAILING, {"workers": 0})


def test_workers_are_asked_only_where_some_are_expected(ops, celery_app):
    assert "workers" not in {one.name for one in probes.health_checks(USING)}
    ops(WORKERS=2)
    assert {"broker", "workers"} <= {one.name for one in probes.health_checks(USING)}


# -- outboxes -----------------------------------------------------------------------------------


def test_a_backlog_is_one_query_over_all_tenants(
    northside, lakeview, waiting, django_assert_num_queries
):
    waiting(northside, seconds=40)
    waiting(lakeview, seconds=90)
    waiting(lakeview, seconds=-60)

    with django_assert_num_queries(1):
        found = backlog_of(Delivery, using=USING)
    assert found.due == 2
    assert 90 <= found.oldest_seconds < 120


def test_an_empty_outbox_has_no_age(db):
    assert backlog_of(Delivery, using=USING).oldest_seconds == 0


def test_what_waits_on_purpose_is_counted_and_is_not_late(northside, waiting, ops):
    waiting(northside, seconds=9_000, held=True)
    found = webhooks_check().look()

    assert (found.status, found.figures) == (Status.OK, {"due": 1, "oldest_seconds": 0})


def test_what_a_dead_worker_holds_is_late(northside, waiting, ops):
    waiting(northside, seconds=9_000, state="leased", token="t")
    waiting(northside, seconds=9_000, state="done")

    assert webhooks_check().look().figures["due"] == 1


@pytest.mark.parametrize(("seconds", "status"), [(20, "ok"), (61, "failing")])
def test_an_outbox_that_nobody_serves_fails(northside, waiting, ops, seconds, status):
    ops(OUTBOX_LAG_SECONDS=60)
    waiting(northside, seconds=seconds)
    found = webhooks_check().look()

    assert found.status == status
    assert ("claimkit_deliver" in found.note) == (status == "failing")


def test_notifications_have_an_outbox_of_their_own(notification, ops):
    notification(400)
    (check,) = [one for one in health_checks(USING) if one.name == "alerts"]

    assert check.look().status is Status.FAILING
    assert backlog_of(Notification, using=USING).due == 1


# -- row-level security -------------------------------------------------------------------------


def test_the_second_wall_is_looked_at_where_it_is_asked_for(settings):
    settings.CLAIMKIT = {}
    assert list(tenant_checks(USING)) == []
    settings.CLAIMKIT = {"TENANTS": {"ROW_LEVEL_SECURITY": True}}
    assert [one.name for one in tenant_checks(USING)] == ["row_security"]


def test_a_wall_that_stands_and_one_with_a_hole(second_wall):
    found = RowSecurityCheck(USING).look()

    assert found.status is Status.OK
    assert found.figures["tables"] > 10
    assert found.figures["open"] == 0


def test_tables_without_their_wall_are_named(transactional_db, settings):
    if connection.vendor != "postgresql":
        pytest.skip("row-level security is PostgreSQL's")
    from tests.projects.database import ROW_LEVEL_SECURITY

    if ROW_LEVEL_SECURITY:
        pytest.skip("here the wall stands")
    found = RowSecurityCheck(USING).look()

    assert found.status is Status.FAILING
    assert found.figures["open"] > 10
    assert "claimkit_alerts_alert" in found.note
