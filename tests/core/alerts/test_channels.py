from __future__ import annotations

import datetime as dt
import logging

from claimkit.alerts.channels import (
    LogChannel,
    Notification,
    NotificationItem,
    as_text,
    subject_line,
)
from claimkit.types import Severity


def item(**values):
    made = {
        "alert": "alr_fantasio",
        "episode": 1,
        "reason": "first",
        "severity": Severity.HIGH,
        "kind": "denial_rate",
        "payer": "Aetna",
        "summary": "Aetna denies 21 % of MRI claims instead of 8 %.",
        "onset": dt.date(2026, 3, 2),
        "dollars_per_month": 4_821_050,
    }
    return NotificationItem(**{**made, **values})


def notification(*items):
    return Notification(
        id="ntf_fantasio", tenant_name="Northside Hospital", items=items or (item(),)
    )


def test_the_subject_is_one_line_and_says_what_is_worst():
    assert subject_line(notification()) == "[high] Aetna: denial rate"
    many = notification(item(payer="a\r\nBcc: x"), item())
    assert subject_line(many) == "[high] a Bcc: x: denial rate and 1 more"
    assert subject_line(notification(item(reason="resolved"))).startswith("[over]")


def test_the_text_tells_what_since_when_and_where_to_look():
    running = as_text(notification(item(link="https://claims.example.org/alerts/alr_fantasio/")))
    over = as_text(notification(item(reason="resolved")))

    assert running.splitlines() == [
        "Northside Hospital",
        "",
        "New (high): Aetna denies 21 % of MRI claims instead of 8 %.",
        "  since 2026-03-02",
        "  https://claims.example.org/alerts/alr_fantasio/",
    ]
    assert over.splitlines()[2].startswith("Over")


def test_every_kind_of_drift_is_called_what_it_is():
    """The trap of a mail that calls every drift a denial rate."""
    text = as_text(notification(item(kind="decision_speed", summary="Aetna decides 9 days later.")))

    assert "denial" not in text.lower()


def test_the_log_names_the_alert_and_nothing_else(caplog):
    with caplog.at_level(logging.WARNING):
        result = LogChannel().send(notification(), LogChannel().check({"x": 1}))

    (record,) = caplog.records
    assert result.is_sent
    assert (record.alert, record.severity) == ("alr_fantasio", "high")
    assert "Aetna" not in record.getMessage()
