from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from claimkit_django.alerts.models import Channel, Route
from claimkit_django.tenants.scope import enter
from tests.alerting import report, signal

pytestmark = pytest.mark.django_db


def run(name, *arguments):
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_alerts_go_by_mail_from_a_severity_on(northside, mailbox):
    asked = ("--tenant", "northside", "--mail", "ada@example.org", "--least", "high")
    assert run("claimkit_tell", *asked) == "northside: alerts from high on go by mail\n"
    report(northside, signal("medium", number=1), signal("high", number=2))
    told = json.loads(run("claimkit_notify", "--once", "--format", "json"))
    assert told == {"evaluated": 0, "sent": 1, "retried": 0, "dead": 0}
    assert run("claimkit_notify", "--once") == "0 sent, 0 to be tried again, 0 given up\n"
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--tenant", "nobody", "--mail", "a@b.org"), "no active tenant 'nobody'"),
        (("--tenant", "northside", "--mail", "nobody"), "is no e-mail address"),
        (("--tenant", "northside", "--mail", "a@b.org", "--name", "Taken"), "another --name"),
    ],
)
def test_what_cannot_be_told_makes_nothing(northside, arguments, told):
    run("claimkit_tell", "--tenant", "northside", "--mail", "c@d.org", "--name", "Taken")
    with pytest.raises(CommandError, match=told):
        run("claimkit_tell", *arguments)

    with enter(northside):
        assert (Channel.objects.count(), Route.objects.count()) == (1, 1)


def test_what_was_made_is_told_to_machines(northside):
    asked = ("--tenant", "northside", "--mail", "a@b.org", "--format", "json")
    made = json.loads(run("claimkit_tell", *asked))

    with enter(northside):
        assert Route.objects.get().channels == [made["channel"]]


def test_what_is_open_already_is_told_once_there_is_somebody_to_tell(northside, mailbox):
    report(northside, signal("high"))
    run("claimkit_notify", "--once")
    assert mailbox.mails == []

    run("claimkit_tell", "--tenant", "northside", "--mail", "ada@example.org")
    run("claimkit_notify", "--once")
    assert len(mailbox.mails) == 1
