from __future__ import annotations

import datetime as dt
import json

import pytest

from claimkit.errors import ConfigError, InvalidPayload, UnknownName
from claimkit.events import (
    AlertNotified,
    AlertOpened,
    AlertResolved,
    AuthorizationExhausting,
    AuthorizationExpiring,
    AuthorizationRenewed,
    AutomationRequested,
    ClaimsImported,
    DriftAccepted,
    DriftDetected,
    EndpointDisabled,
    EndpointPinged,
    ReportReady,
)
from claimkit.plugins import load_plugins
from claimkit.types import TenantKey
from claimkit.webhooks.payloads import (
    Detail,
    EventType,
    body_schema,
    builtin_event_types,
    check_subscriptions,
    example_body,
    make_body,
)

AT = dt.datetime(2026, 4, 12, 12, 30, tzinfo=dt.UTC)
_COMMON = {"tenant": TenantKey("northside"), "at": AT}
_DRIFT = {
    **_COMMON,
    "finding": "fp-marsupilami",
    "signal": "denial_rate",
    "payer": "Aetna",
    "severity": "high",
    "onset": dt.date(2026, 3, 2),
    "dollars_per_month": 4_821_050,
    "summary": "Aetna denies 21 % of MRI claims instead of 8 %.",
}
_ALERT = {
    **_COMMON,
    "alert": "alr_marsupilami",
    "kind": "denial_rate",
    "severity": "high",
    "payer": "Aetna",
    "summary": "Aetna denies 21 % of MRI claims instead of 8 %.",
    "dollars_per_month": 4_821_050,
}
_ENDING = {
    **_COMMON,
    "authorization": "aut_marsupilami",
    "payer": "Aetna",
    "procedure": "97110",
    "step": 14,
    "days_left": 13,
    "ends_on": dt.date(2026, 4, 25),
}
KNOWN = {one.name: one for one in builtin_event_types()}
EVENTS = {
    "claims.imported": ClaimsImported(
        **_COMMON, upload="upl_marsupilami", new=3, changed=2, same=1, rejected=4
    ),
    "drift.detected": DriftDetected(**_DRIFT),
    "drift.worsened": DriftDetected(**_DRIFT),
    "drift.resolved": DriftDetected(**_DRIFT),
    "drift.accepted": DriftAccepted(**_DRIFT, by="user:marsupilami"),
    "alerts.opened": AlertOpened(**_ALERT),
    "alerts.resolved": AlertResolved(**_ALERT),
    "alerts.notified": AlertNotified(
        **_ALERT, notification="ntf_marsupilami", episode=2, reason="escalated"
    ),
    "automation.requested": AutomationRequested(
        **_COMMON,
        rule="aur_marsupilami",
        label="open a ticket",
        trigger="drift.detected",
        subject="fp-1",
    ),
    "authorizations.expiring": AuthorizationExpiring(**_ENDING),
    "authorizations.exhausting": AuthorizationExhausting(**_ENDING),
    "authorizations.renewed": AuthorizationRenewed(
        **_COMMON,
        authorization="aut_marsupilami",
        payer="Aetna",
        procedure="97110",
        renewal="aut_spirou",
    ),
    "reports.ready": ReportReady(
        **_COMMON,
        report="rpt_marsupilami",
        kind="monthly",
        first=dt.date(2026, 3, 1),
        last=dt.date(2026, 3, 31),
        headline="No payer has changed how it treats your claims in March 2026.",
    ),
    "webhooks.endpoint_disabled": EndpointDisabled(
        **_COMMON, endpoint="whe_marsupilami", reason="gone"
    ),
    "webhooks.ping": EndpointPinged(**_COMMON, endpoint="whe_marsupilami"),
}


def body(name, detail=Detail.THIN):
    return json.loads(make_body(KNOWN[name], EVENTS[name], detail))


def test_a_body_has_the_three_members_of_the_specification():
    assert body("claims.imported") == {
        "type": "claims.imported",
        "timestamp": "2026-04-12T12:30:00Z",
        "data": {
            "version": 1,
            "upload": "upl_marsupilami",
            "new": 3,
            "changed": 2,
            "same": 1,
            "rejected": 4,
        },
    }


def test_thin_data_name_neither_payer_nor_money():
    thin, full = body("drift.detected")["data"], body("drift.detected", Detail.FULL)["data"]

    assert thin == {
        "version": 1,
        "fingerprint": "fp-marsupilami",
        "signal": "denial_rate",
        "severity": "high",
        "onset": "2026-03-02",
    }
    assert full == thin | {
        "payer": "Aetna",
        "dollars_per_month": "48210.50",
        "summary": "Aetna denies 21 % of MRI claims instead of 8 %.",
    }


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("name", KNOWN)
def test_every_body_keeps_its_schema(name, detail):
    jsonschema = pytest.importorskip("jsonschema", reason="schemas are checked where DRF is")
    schema = body_schema(KNOWN[name], detail)

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(body(name, detail), schema, jsonschema.Draft202012Validator)
    jsonschema.validate(example_body(KNOWN[name], detail), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**body(name, detail), "patient": "x"}, schema)


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("name", KNOWN)
def test_examples_are_what_is_sent(name, detail):
    example = example_body(KNOWN[name], detail)

    assert example.keys() == body(name, detail).keys()
    assert example["data"].keys() == body(name, detail)["data"].keys()


def test_builtin_types_are_registered_like_anyones():
    assert load_plugins(entry_points=False).event_types.keys() == KNOWN.keys()


def _type(**values):
    made = {"name": "room.happened", "description": "x", "properties": {}, "example": {}}
    return EventType(**{**made, "thin": lambda event: {}, **values})


def test_what_is_too_large_or_no_json_is_refused():
    large = _type(thin=lambda event: {"text": "x" * 65_536})
    lone = _type(thin=lambda event: {"text": "\ud800"})
    infinite = _type(thin=lambda event: {"number": float("inf")})
    objects = _type(thin=lambda event: {"what": object()})

    for one in (large, lone, infinite, objects):
        with pytest.raises(InvalidPayload):
            make_body(one, EVENTS["webhooks.ping"], Detail.THIN)


@pytest.mark.parametrize("values", [{"name": "happened"}, {"name": "Room.x"}, {"version": 0}])
def test_event_types_have_names_and_versions(values):
    with pytest.raises(ConfigError):
        _type(**values)


def test_subscriptions_are_sorted_and_known():
    wanted = ["drift.resolved", "claims.imported", "drift.resolved"]

    assert check_subscriptions(wanted, KNOWN) == ("claims.imported", "drift.resolved")
    assert check_subscriptions(["*"], KNOWN) == ("*",)
    with pytest.raises(UnknownName, match=r"did you mean 'drift\.detected'"):
        check_subscriptions(["drift.dtected"], KNOWN)
    with pytest.raises(UnknownName):
        check_subscriptions(["webhooks.ping"], KNOWN)
    with pytest.raises(ConfigError):
        check_subscriptions([], KNOWN)
