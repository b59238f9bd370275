from __future__ import annotations

import datetime as dt
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from claimkit_django.webhooks import retention
from claimkit_django.webhooks.models import Attempt, Delivery, Message, ReceivedMessage
from claimkit_django.webhooks.retention import Pruned, prune
from claimkit_django.webhooks.tasks import deliver_due, prune_old

pytestmark = pytest.mark.django_db

OLD = dt.timedelta(days=91)


@pytest.fixture
def two_delivered(northside, lakeview, add, stage, receive):
    """One delivery of each tenant, done, with its attempt."""
    for tenant in (northside, lakeview):
        add(tenant, receive(204).url())
        stage(tenant, f"upl_{tenant.key}")
    assert deliver_due() == 2


def age(rows, **names):
    rows.update(**{name: timezone.now() - OLD for name in names or {"created_at": 0}})


def left():
    models = (Delivery, Attempt, Message)
    return tuple(model.unscoped.count() for model in models)


def test_what_ended_long_ago_goes_with_its_attempts_and_body(two_delivered, northside):
    age(Delivery.unscoped.filter(tenant=northside))
    age(Message.unscoped.all())

    assert prune(using=USING) == Pruned(deliveries=1, attempts=1, messages=1)
    assert left() == (1, 1, 1)
    assert Delivery.unscoped.get().tenant_id != northside.pk
    assert prune(using=USING) == Pruned()


def test_what_is_due_stays_however_old(northside, add, stage, receive):
    add(northside, receive(503).url())
    stage(northside, "upl_1")
    deliver_due()
    age(Delivery.unscoped.all())
    age(Message.unscoped.all())

    assert prune_old() == 0
    assert left() == (1, 1, 1)


def test_a_dry_run_says_what_would_go(two_delivered):
    age(Delivery.unscoped.all())
    age(Message.unscoped.all())
    ReceivedMessage.objects.create(source="x", message_id="y", received_at=timezone.now() - OLD)

    out = io.StringIO()
    call_command("claimkit_prune_webhooks", "--dry-run", "--format", "json", stdout=out)
    assert left() == (2, 2, 2)
    told = json.loads(out.getvalue())
    assert told.pop("dry_run") is True

    assert Pruned(**told) == prune(using=USING)
    assert (left(), ReceivedMessage.objects.count()) == ((0, 0, 0), 0)


def test_a_message_that_another_delivery_needs_stays(two_delivered, northside):
    old = Delivery.unscoped.filter(tenant=northside).get()
    Delivery.unscoped.bulk_create(
        [
            Delivery(
                tenant_id=old.tenant_id,
                message_id=old.message_id,
                lane_id=old.lane_id,
                replay=1,
                due_at=timezone.now(),
            )
        ]
    )
    age(Delivery.unscoped.filter(pk=old.pk))
    age(Message.unscoped.all())

    assert prune(using=USING) == Pruned(deliveries=1, attempts=1)


def test_batches_cost_a_fixed_number_of_statements(two_delivered, monkeypatch):
    age(Delivery.unscoped.all())
    counts = []
    for size in (1, 2_000):
        monkeypatch.setattr(retention, "_BATCH", size)
        with CaptureQueriesContext(connection) as queries:
            assert prune(using=USING).deliveries == (2 if size == 1 else 0)
        counts.append(len(queries))

    # Holds are looked for, then each kind once where there is nothing to delete; a batch deletes
    # twice and looks again.
    assert counts[1] == 4
    assert counts[0] - counts[1] <= 2 * 5


def test_fewer_days_than_retries_last_are_refused(settings):
    with pytest.raises(CommandError, match="kept for 4 days"):
        call_command("claimkit_prune_webhooks", "--keep-days", "3")
