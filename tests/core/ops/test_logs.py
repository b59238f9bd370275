"""One line of JSON for a record, and no personal detail in it, wherever it hides."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.privacy import Phi, find_personal
from claimkit.errors import ConfigError
from claimkit.ops.logs import FIELDS, JsonFormatter, ScrubFilter, log_context, use_log_context
from claimkit.tenants import use_tenant

ROOT = Path(__file__).parents[3]
#: One of each kind, in a form that a log would carry.
DETAILS = (
    "123-45-6789",
    "SSN 123456789",
    "(415) 555-0123",
    "jane.doe@mail.example.org",
    "MRN 0012345",
    "DOB 1960-01-02",
    "Patient: Jane Doe",
    "NM1*QC*1*DOE*JANE****MI*W12345~",
)
#: What must not be left of them.
TRACES = ("123-45-6789", "123456789", "555-0123", "jane", "0012345", "1960", "doe", "w12345")


def record_of(message, *args, exc_info=None, name="claimkit.claims", **extra):
    made = logging.getLogger(name).makeRecord(
        name, logging.INFO, __file__, 7, message, args, exc_info, "import_claims", extra or None
    )
    made.created = 1_775_986_200.5
    return made


def raised(error, cause=None):
    try:
        secret_in_a_variable = "123-45-6789"  # noqa: F841
        raise error from cause
    except type(error):
        return sys.exc_info()


@pytest.fixture
def written():
    """Return what a logger with a formatter writes, line by line."""

    def write(formatter, *filters):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        for one in filters:
            handler.addFilter(one)
        logger = logging.Logger("claimkit.claims")  # noqa: LOG001 - known to nobody else
        logger.addHandler(handler)
        return logger, lambda: stream.getvalue()

    return write


def line_of(record, **options):
    text = JsonFormatter(**options).format(record)
    assert "\n" not in text
    assert text.isascii()
    return json.loads(text)


def test_a_record_is_one_object():
    record = record_of("a claim was rejected", upload="upl_7", found=3)

    assert line_of(record) == {
        "timestamp": "2026-04-12T09:30:00.500Z",
        "level": "INFO",
        "logger": "claimkit.claims",
        "message": "a claim was rejected",
        "found": 3,
        "upload": "upl_7",
    }


def test_the_work_in_hand_is_on_every_line():
    with use_tenant("northside"), use_log_context(task="claimkit.drift.watch_tenant"):
        line = line_of(record_of("the watch begins"))

    assert (line["tenant"], line["task"]) == ("northside", "claimkit.drift.watch_tenant")
    assert log_context() == {}


def test_a_field_that_is_not_allowed_is_named_and_not_shown():
    line = line_of(record_of("a claim was rejected", patient="Marsupilami", upload="upl_7"))

    assert line["left_out"] == ["patient"]
    assert "Marsupilami" not in json.dumps(line)
    assert line_of(record_of("x", queue="fast"), fields=["queue"])["queue"] == "fast"


def test_every_field_that_claimkit_logs_is_allowed():
    logged = {
        key.value
        for package in ("claimkit", "claimkit_django")
        for path in (ROOT / "src" / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict)
        for key in keyword.value.keys
        # Those whose name is chosen at run time are in FIELDS too, or told as left out.
        if isinstance(key, ast.Constant)
    }

    assert "upload" in logged
    assert logged - FIELDS == set()


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize(
    "make",
    [
        lambda one: record_of(f"it was {one}; of Blue Cross"),
        lambda one: record_of("it was %s; of Blue Cross", one),
        lambda one: record_of("it was %(who)s; of Blue Cross", {"who": one}),
        lambda one: record_of("it was %s; of Blue Cross", [{"told": [one]}]),
        lambda one: record_of("it failed for Blue Cross", reason=f"saw {one}"),
        lambda one: record_of("it failed for Blue Cross", reason={"told": (one,)}),
        lambda one: record_of("it failed for Blue Cross", exc_info=raised(ValueError(one))),
        lambda one: record_of("Blue Cross", exc_info=raised(KeyError("k"), cause=ValueError(one))),
        lambda one: record_of("Blue Cross: %s", ConfigError(one)),
    ],
)
def test_no_detail_gets_through_wherever_it_stands(make, detail, written):
    texts = [
        JsonFormatter().format(make(detail)),
        JsonFormatter(exception_text=True).format(make(detail)),
    ]
    logger, text = written(
        logging.Formatter("%(message)s %(reason)s", defaults={"reason": ""}), ScrubFilter()
    )
    logger.handle(make(detail))

    for one in (*texts, text()):
        assert "Blue Cross" in one
        assert [trace for trace in TRACES if trace in one.casefold()] == []


def test_the_text_of_a_foreign_exception_is_not_told():
    """A bare name is no pattern: only what is never written never leaks."""
    line = line_of(record_of("it failed", exc_info=raised(KeyError("Marsupilami"))))

    assert line["exception"]["type"] == "KeyError"
    assert "message" not in line["exception"]
    assert "in raised\n    raise error from cause\nKeyError" in line["exception"]["traceback"]
    assert "Marsupilami" not in json.dumps(line)
    shown = line_of(record_of("x", exc_info=raised(KeyError("Marsupilami"))), exception_text=True)
    assert shown["exception"]["message"] == "'Marsupilami'"


def test_an_error_of_ours_and_of_the_system_say_what_happened():
    ours = line_of(record_of("x", exc_info=raised(ConfigError("no such room"))))["exception"]
    system = line_of(
        record_of("x", exc_info=raised(ConnectionRefusedError(111, "Connection refused")))
    )

    assert (ours["code"], ours["message"]) == ("config_invalid", "no such room")
    assert system["exception"]["message"] == "Connection refused"


def test_causes_and_groups_are_told_in_order():
    group = ExceptionGroup("Marsupilami", [KeyError("Doe"), ConfigError("no such room")])
    told = line_of(record_of("x", exc_info=raised(group, cause=TypeError("Doe"))))["exception"]

    assert told["traceback"].index("TypeError") < told["traceback"].index("Then:")
    assert told["traceback"].endswith(
        "ExceptionGroup [KeyError; claimkit.errors.ConfigError: no such room]"
    )
    assert "Doe" not in told["traceback"]


def test_objects_are_told_by_their_class():
    class Patient:
        def __str__(self):
            return "Marsupilami"

        __repr__ = __str__

    line = line_of(record_of("%s and %r", Patient(), [Patient()], reason=Patient()))

    assert line["message"] == "<Patient> and ['<Patient>']"
    assert line["reason"] == "<Patient>"


def test_what_is_wrapped_is_not_told():
    line = line_of(
        record_of("%s %r %10s", Phi("Doe"), [Phi("Doe")], Phi("Doe"), reason={1: Phi("Doe")})
    )

    assert line["message"] == "[removed] ['[removed]']  [removed]"
    assert line["reason"] == {"1": "[removed]"}


def test_the_name_of_a_member_tells_what_its_value_is():
    line = line_of(
        record_of("x", reason={"ssn": 123456789, "dob": "19600102", "upload": 123456789})
    )

    assert line["reason"] == {"ssn": "[removed]", "dob": "[removed]", "upload": 123456789}


def test_queries_are_logged_without_their_parameters():
    record = record_of(
        "(%.3f) %s; args=%s", 0.1, "SELECT 1", ("Doe",), name="django.db.backends.schema"
    )

    assert line_of(record)["message"] == "(%.3f) %s; args=%s"


def test_wrong_arguments_lose_neither_the_line_nor_themselves():
    assert line_of(record_of("%d claims", "Doe"))["message"] == "%d claims"
    assert line_of(record_of("%(n)d claims", {"m": "Doe"}))["message"] == "%(n)d claims"


def test_numbers_are_formatted_as_numbers():
    line = line_of(record_of("%d of %5.1f, %s", 3, 2.25, True, found=float("nan")))

    assert line["message"] == "3 of   2.2, True"
    assert line["found"] == "nan"


def test_a_long_line_is_cut_and_costs_little():
    text = "1-" * 500_000
    began = time.process_time()
    line = line_of(record_of(text))

    assert time.process_time() - began < 0.5
    assert len(line["message"]) < 17_000
    assert line["message"].endswith("[cut]")


def test_half_a_detail_is_not_left_at_the_cut():
    line = line_of(record_of("x" * 16_375 + " 123-45-6789 and more"))

    assert "123" not in line["message"]


def test_a_host_that_keeps_its_formatter_gets_a_scrubbed_traceback(written):
    logger, text = written(logging.Formatter("%(message)s"), ScrubFilter())
    logger.error("no luck with %s", "123-45-6789", exc_info=raised(ValueError("tel 4155550123")))

    assert "no luck with [removed]" in text()
    assert "ValueError: [removed]" in text()
    assert "test_logs.py" in text()


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
_ANYTHING = st.recursive(
    _SCALARS | st.binary(max_size=5) | st.sampled_from(DETAILS) | st.builds(Phi, st.just("Doe")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.text(max_size=40), st.lists(_ANYTHING, max_size=3), _ANYTHING)
def test_whatever_is_logged_is_a_line_without_details(message, args, extra):
    """Any message, any arguments, any field: one parsable line, and nothing to find in its values."""
    line = line_of(record_of(message, *args, reason=extra))

    assert _details(line) == []


@given(
    st.lists(st.sampled_from([*DETAILS, "Blue Cross", " ", ", ", "x", ": "]), max_size=6).map(
        "".join
    )
)
def test_the_filter_leaves_nothing_to_find(text):
    record = record_of("%s", text, reason=[text], stack=text)
    ScrubFilter().filter(record)

    assert find_personal(record.getMessage()) == ()
    assert [find_personal(one) for one in record.reason] == [()]


def _details(value):
    if isinstance(value, str):
        return list(find_personal(value))
    if isinstance(value, dict):
        return [found for pair in value.items() for one in pair for found in _details(one)]
    return [found for one in value for found in _details(one)] if isinstance(value, list) else []
