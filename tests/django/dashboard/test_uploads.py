from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from claimkit_django.claims import tasks
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

URL = "/dashboard/uploads/"
CSV = (
    b"Claim ID,Payer,Service Date,Billed,Paid,Status\n"
    b"A1001,Blue Lake,2026-03-02,120.00,80.00,paid\n"
    b"A1002,Blue Lake,2026-03-02,12..5,80.00,paid\n"
)


@pytest.fixture
def here_and_now(monkeypatch):
    """Import at once, as where Celery is not installed."""
    monkeypatch.setattr(tasks, "shared_task", None)


@pytest.fixture
def half_read(northside, make_upload):
    now = timezone.now()
    return make_upload(
        northside,
        status="processing",
        started_at=now,
        heartbeat_at=now,
        bytes_total=200,
        bytes_done=84,
    )


def send(browser, content=CSV, **values):
    return browser.post(URL, {"file": SimpleUploadedFile("export.csv", content), **values})


def test_an_upload_is_read_and_its_page_says_what_became_of_it(
    northside, browse, here_and_now, django_capture_on_commit_callbacks, text_of
):
    browser = browse(northside)
    with django_capture_on_commit_callbacks(execute=True):
        sent = send(browser)
    with enter(northside):
        upload = Upload.objects.get()
    assert sent.headers["Location"] == f"{URL}{upload.uid}/"

    text = text_of(browser.get(sent.headers["Location"]))

    assert (upload.status, upload.source) == ("partial", "dashboard")
    assert "1 row could not be taken" in text
    assert "this is not an amount" in text
    assert "export.csv" in text_of(browser.get(URL))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "Choose a file."),
        ({"file": SimpleUploadedFile("empty.csv", b"")}, "This file is empty."),
        ({"file": SimpleUploadedFile("a.csv", b"x"), "reader": "x21"}, "not one of the available"),
    ],
)
def test_what_is_no_file_is_told(northside, browse, text_of, values, said):
    page = browse(northside).post(URL, values)

    assert page.status_code == 422
    assert said in text_of(page)


def test_viewers_neither_send_nor_repair(northside, browse, half_read, text_of):
    viewer = browse(northside, "viewer")

    assert "Upload a file" not in text_of(viewer.get(URL))
    assert send(viewer).status_code == 403
    assert viewer.get(f"{URL}{half_read.uid}/repair.csv").status_code == 403
    assert viewer.post(f"{URL}{half_read.uid}/release/").status_code == 403


def test_while_it_is_read_htmx_asks_for_the_part_that_changes(northside, browse, half_read):
    browser, address = browse(northside), f"{URL}{half_read.uid}/"

    whole = browser.get(address).content.decode()
    part = browser.get(address, headers={"HX-Request": "true", "HX-Target": "upload"})

    assert 'hx-trigger="every 2s"' in whole
    assert "<html" not in part.content.decode()
    assert 'value="42">42 %</progress>' in part.content.decode()


def test_once_it_is_in_nobody_asks_any_more(northside, browse, half_read):
    with enter(northside):
        Upload.objects.filter(pk=half_read.pk).update(
            status="success", finished_at=timezone.now(), bytes_done=200
        )

    page = browse(northside).get(
        f"{URL}{half_read.uid}/", headers={"HX-Request": "true", "HX-Target": "upload"}
    )

    assert "hx-trigger" not in page.content.decode()


def test_the_repair_file_has_the_rows_and_is_no_page(northside, browse, half_read):
    with enter(northside):
        Upload.objects.filter(pk=half_read.pk).update(header=["Claim ID"], rows_rejected=1)
        RejectedRow.objects.create(
            upload=half_read, ordinal=0, position=3, kind="csv", code="x", message="no", raw=["A9"]
        )

    answer = browse(northside).get(f"{URL}{half_read.uid}/repair.csv")

    assert b"A9" in answer.content
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"] == "sandbox"


def test_alerts_that_wait_are_let_go(northside, browse, half_read, text_of):
    with enter(northside):
        quality = {"compared": 3, "issues": [{"code": "x", "message": "odd", "holds": True}]}
        Upload.objects.filter(pk=half_read.pk).update(holds_alerts=True, quality=quality)
    browser = browse(northside)
    assert "1 file holds alerts back" in text_of(browser.get("/dashboard/"))

    page = browser.post(f"{URL}{half_read.uid}/release/", follow=True)

    assert "Alerts no longer wait for this file" in text_of(page)
    with enter(northside):
        assert not Upload.objects.get().holds_alerts
