"""What reaches a receiver that Sentry's own transport sends to, with patients planted everywhere."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import sqlite3

import pytest
import sentry_sdk

from claimkit.errors import ConfigError, StoreError
from claimkit.events import ClaimsImported, DriftResolved
from claimkit.ops.logs import tenant_hash, use_log_context
from claimkit.plugins import load_plugins
from claimkit.tenants import use_tenant
from claimkit.testing.conformance import ListenerConformance
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import TenantKey
from claimkit_sentry import start
from claimkit_sentry.plugin import SentryListener

NAME, SSN, MEMBER, PHONE = "Seccotine Bobbyson", "417-09-3355", "W417093355", "415-555-0123"
SECRETS = (NAME, "Seccotine", "Bobbyson", SSN, SSN.replace("-", ""), MEMBER, PHONE, "northside")
PLANTED = f"{NAME} {SSN} {MEMBER} {PHONE}"
TOLD = {"tenant": TenantKey("northside"), "at": dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC)}
IMPORTED = ClaimsImported(**TOLD, upload="upl_gaston", new=4, changed=0, same=0, rejected=0)


@pytest.fixture
def receiver():
    with Receiver(answering(answer(200, b"{}"))) as made:
        yield made
    # None, not one that sends nowhere: that one still writes headers into requests of others.
    sentry_sdk.get_global_scope().set_client(None)
    for scope in (sentry_sdk.get_current_scope(), sentry_sdk.get_isolation_scope()):
        scope.clear()


@pytest.fixture
def sent(receiver):
    """Start the SDK, and return what gives the items that arrived."""
    dsn = f"http://spip@127.0.0.1:{receiver.port}/417"
    start(dsn, tenant_secret="zorglub", traces_sample_rate=1.0, server_name=NAME)

    def items():
        sentry_sdk.flush(10)
        found = []
        for head, body in receiver.requests:
            raw = plain(head, body)
            assert not [one for one in SECRETS if one.encode() in raw + head]
            lines = raw.splitlines()
            found += [json.loads(line) for line in lines if line.startswith(b"{")]
        return found

    return items


def plain(head, body):
    """Undo what the SDK packs with: Brotli where it is installed, else gzip."""
    if b"content-encoding: br" in head.lower():
        import brotli

        return brotli.decompress(body)
    return gzip.decompress(body)


def event_of(items):
    return next(one for one in items if "exception" in one or "logentry" in one)


def _break(member):
    ssn, patient = SSN, {"name": NAME, "member": member}
    raise ValueError(f"no claim of {patient['name']} {ssn}")


def _plant():
    """Put patients wherever the SDK collects."""
    scope = sentry_sdk.get_isolation_scope()
    scope.set_user({"id": MEMBER, "username": NAME, "email": "seccotine@example.org"})
    scope.set_extra("claim", {"ssn": SSN, "patient": NAME})
    scope.set_tag("patient", NAME)
    scope.set_context("claim", {"patient": NAME, "member": MEMBER})
    scope.set_context("runtime", {"name": "CPython", "build": PLANTED})
    scope.add_attachment(bytes=PLANTED.encode(), filename="claims.csv")
    scope.set_transaction_name(f"/patients/{NAME}")
    sentry_sdk.add_breadcrumb(category="query", message=f"SELECT '{SSN}'", data={"sql": PLANTED})
    sentry_sdk.add_breadcrumb(category="claimkit.x", message="read", data={"patient": NAME})
    logging.getLogger("django.request").warning("patient %s", PLANTED)
    scope.add_event_processor(_request)


def _request(event, hint):
    """Add a request, as the integration of Django does."""
    event["request"] = {
        "url": f"https://claims.example.org/patients/{NAME}",
        "method": "POST",
        "query_string": f"ssn={SSN}",
        "data": {"patient": NAME, "member": MEMBER},
        "cookies": {"sessionid": MEMBER},
        "headers": {"X-Patient": NAME, "Authorization": f"Bearer {MEMBER}"},
        "env": {"REMOTE_ADDR": "192.0.2.17", "X": PLANTED},
    }
    return event


def test_an_error_arrives_without_anything_of_a_patient(sent):
    with (
        sentry_sdk.isolation_scope(),
        use_tenant(TenantKey("northside")),
        use_log_context(request_id="req_fantasio"),
    ):
        _plant()
        try:
            _break(MEMBER)
        except ValueError:
            sentry_sdk.capture_exception()
    items = sent()

    event = event_of(items)
    (value,) = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("ValueError", "[left out]")
    assert [one["function"] for one in value["stacktrace"]["frames"]][-1] == "_break"
    assert event["tags"]["request_id"] == "req_fantasio"
    assert event["tags"]["tenant"] == tenant_hash("northside", secret="zorglub")
    assert event["request"] == {"method": "POST"}
    assert event["transaction"] == "[left out]"
    assert not {"user", "extra", "modules", "threads", "server_name"} & event.keys()


def test_the_text_of_claimkits_own_errors_arrives(sent):
    try:
        try:
            _break(MEMBER)
        except ValueError as error:
            raise StoreError("no plugin opens a store of kind 'postgres'") from error
    except StoreError:
        sentry_sdk.capture_exception()

    values = event_of(sent())["exception"]["values"]
    assert [one["value"] for one in values] == [
        "[left out]",
        "store_error: no plugin opens a store of kind 'postgres'",
    ]


@pytest.mark.parametrize(
    ("logger", "shown"),
    [
        ("claimkit.claims", "file refused"),
        ("claimkit_django.runtime", "file refused"),
        ("hospital.patients", "[left out]"),
        ("claimkitten", "[left out]"),
    ],
)
def test_messages_are_constants_of_known_loggers(sent, logger, shown):
    message = "file refused" if shown != "[left out]" else f"file of {NAME} refused"
    logging.getLogger(logger).error(message, extra={"upload": "upl_gaston", "patient": NAME})

    event = event_of(sent())
    assert event["logentry"] == {"message": shown}
    # A field of claimkit's is a public id; of others it may be anything.
    assert event["tags"].get("upload") == ("upl_gaston" if shown != "[left out]" else None)


@pytest.mark.parametrize("source", ["url", "custom"])
def test_sql_and_addresses_of_a_transaction_stay_here(sent, source):
    with (
        sqlite3.connect(":memory:") as database,
        sentry_sdk.start_transaction(name=f"/patients/{NAME}", source=source),
        sentry_sdk.start_span(op="db", name=f"SELECT '{SSN}' -- {NAME}") as span,
    ):
        span.set_data("params", [MEMBER])
        database.execute("SELECT 1")
    items = sent()

    transaction = next(one for one in items if one.get("type") == "transaction" and "spans" in one)
    assert transaction["transaction"] == "[left out]"
    assert [one["op"] for one in transaction["spans"]] == ["db"]
    database.close()


def test_a_transaction_that_the_code_names_keeps_its_name(sent):
    with sentry_sdk.start_transaction(name="claimkit.claims.import", source="task"):
        pass

    assert "claimkit.claims.import" in {one.get("transaction") for one in sent()}


def test_events_are_breadcrumbs_with_their_topic(sent):
    load_plugins().listeners["sentry.breadcrumbs"].handle(IMPORTED)
    try:
        _break(MEMBER)
    except ValueError:
        sentry_sdk.capture_exception()

    crumbs = event_of(sent())["breadcrumbs"]["values"]
    assert [(one["category"], one["message"]) for one in crumbs][-1] == (
        "claimkit.event",
        "claims.imported",
    )
    assert crumbs[-1]["data"] == {"tenant": tenant_hash("northside", secret="zorglub")}


def test_what_a_site_adds_before_is_scrubbed_too(receiver):
    def before_send(event, hint):
        event["extra"] = {"patient": NAME}
        event["tags"] = {"task": f"ssn {SSN}"}
        return event

    start(f"http://spip@127.0.0.1:{receiver.port}/417", before_send=before_send)
    logging.getLogger("claimkit").error("file refused")
    sentry_sdk.flush(10)

    raw = b"".join(plain(head, body) for head, body in receiver.requests)
    assert b"file refused" in raw
    assert SSN.encode() not in raw
    assert NAME.encode() not in raw


@pytest.mark.parametrize(
    "option",
    [
        {"send_default_pii": True},
        {"include_local_variables": True},
        {"max_request_body_size": "always"},
        {"enable_logs": True},
        {"profiles_sample_rate": 1.0},
        {"data_collection": {"user_info": True}},
        {"trace_lifecycle": "stream"},
    ],
)
def test_an_option_that_would_send_more_is_refused(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        start("http://spip@127.0.0.1:1/417", **option)


class TestListener(ListenerConformance):
    @pytest.fixture
    def listener(self):
        return SentryListener()

    @pytest.fixture
    def events(self):
        resolved = DriftResolved(
            **TOLD,
            finding="fnd_spip",
            signal="denial_rate",
            severity="high",
            payer="MERIDIAN",
            summary="over",
            onset=dt.date(2026, 3, 2),
            dollars_per_month=0,
        )
        return [IMPORTED, resolved]
