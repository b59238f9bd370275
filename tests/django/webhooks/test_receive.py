from __future__ import annotations

import datetime as dt

import pytest
from django.http import HttpResponse
from django.utils import timezone

from claimkit.webhooks import generate_key, sign
from claimkit.webhooks.signing import HOP
from claimkit_django.http.hops import site_id
from claimkit_django.tenants.models import Tenant
from claimkit_django.webhooks.models import ReceivedMessage
from claimkit_django.webhooks.receive import forget_received, receive_webhooks

pytestmark = pytest.mark.django_db

KEY = generate_key()


@pytest.fixture
def post(rf):
    def send(view, message_id="msg_1", body=b"{}", key=KEY, at=None, **changes):
        headers = sign(message_id, at or timezone.now(), body, [key]) | changes
        request = rf.post("/in", data=body, content_type="application/json", headers=headers)
        return view(request)

    return send


def make_view(*, status=204, keys=lambda: [KEY.text], **options):
    calls = []

    @receive_webhooks(source="warehouse", keys=keys, **options)
    def view(request, verified):
        calls.append(verified.message_id)
        Tenant.objects.create(key=f"t{len(calls)}", name="Marsupilami")
        if status is None:
            raise RuntimeError("marsupilami")
        return HttpResponse(status=status)

    view.calls = calls
    return view


def test_a_webhook_is_taken_once(post):
    """A01."""
    view = make_view()

    assert [post(view).status_code for _ in range(3)] == [204, 200, 200]
    assert view.calls == ["msg_1"]
    assert Tenant.objects.count() == 1
    assert post(view, "msg_2").status_code == 204


def test_what_cannot_be_verified_never_reaches_the_view(post, rf):
    """A19."""
    view = make_view()

    assert view(rf.post("/in", data=b"{}", content_type="application/json")).status_code == 401
    assert post(view, key=generate_key()).status_code == 401
    assert post(view, at=timezone.now() - dt.timedelta(minutes=6)).status_code == 401
    assert post(view, **{"webhook-id": "msg_9"}).status_code == 401
    assert post(view, **{"webhook-signature": "v1"}).content == b'{"code": "no_matching_signature"}'
    assert (view.calls, ReceivedMessage.objects.count()) == ([], 0)


@pytest.mark.parametrize("keys", [[], ["whsec_"], ["marsupilami!"]])
def test_without_a_usable_key_it_fails_closed_and_says_so(post, keys, caplog):
    """A20."""
    view = make_view(keys=lambda: keys)

    assert post(view).status_code == 401
    assert view.calls == []
    assert (caplog.records[-1].message, caplog.records[-1].reason) == (
        "webhook refused",
        "no_signing_key",
    )


@pytest.mark.parametrize("status", [400, 503])
def test_what_the_view_did_not_take_may_come_again(post, status):
    view = make_view(status=status)

    assert [post(view).status_code for _ in range(2)] == [status, status]
    assert (len(view.calls), Tenant.objects.count()) == (2, 0)


def test_a_view_that_raises_leaves_nothing(post):
    view = make_view(status=None)

    for _ in range(2):
        with pytest.raises(RuntimeError):
            post(view)
    assert (len(view.calls), Tenant.objects.count(), ReceivedMessage.objects.count()) == (2, 0, 0)


def test_only_post_and_only_so_much(rf, post):
    view = make_view(max_body_bytes=10)

    assert view(rf.get("/in")).status_code == 405
    assert post(view, body=b"x" * 11).status_code == 413
    assert view.calls == []


def test_ids_of_two_senders_do_not_meet(post):
    first = make_view()
    ReceivedMessage.objects.create(source="other", message_id="msg_1", received_at=timezone.now())

    assert post(first).status_code == 204


def test_old_ids_are_forgotten():
    now = timezone.now()
    for days in (1, 40):
        ReceivedMessage.objects.create(
            source="warehouse",
            message_id=f"msg_{days}",
            received_at=now - dt.timedelta(days=days),
        )

    assert forget_received(before=now - dt.timedelta(days=30)) == 1
    assert ReceivedMessage.objects.get().message_id == "msg_1"


def test_what_this_site_sent_itself_is_refused(post, caplog):
    """A49."""
    view = make_view()

    answer = post(view, **{HOP: site_id()})

    assert (answer.status_code, answer.content) == (508, b'{"code": "loop_detected"}')
    assert (view.calls, ReceivedMessage.objects.count()) == ([], 0)
    assert [one.source for one in caplog.records] == ["warehouse"]
    assert post(view, **{HOP: "of another site"}).status_code == 204


@pytest.mark.parametrize("twice", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_headers_that_a_server_joined_are_refused(rf, twice):
    """A12."""
    view = make_view()
    headers = sign("msg_1", timezone.now(), b"{}", [KEY])
    headers[twice] += f",{headers[twice]}"

    answer = view(rf.post("/in", data=b"{}", content_type="application/json", headers=headers))

    assert (answer.status_code, view.calls) == (401, [])
