"""Each suite finds what is wrong with a plugin that was broken on purpose."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import itertools
import logging
import socket
import time
from dataclasses import replace

import pytest

from claimkit.automation.actions import ActionResult, LeaveWork, OpenAlert, WorkKind
from claimkit.claims.model import ClaimKind, RowProblem
from claimkit.claims.payers import DirectoryEntry
from claimkit.errors import ConfigError
from claimkit.events import ClaimsImported, DriftDetected
from claimkit.reports.renderers import CsvRenderer, HtmlRenderer, JsonRenderer, MarkdownRenderer
from claimkit.tenants import TenantHint
from claimkit.testing.conformance import (
    ActionConformance,
    EventTypeConformance,
    ListenerConformance,
    NormalizerConformance,
    PayerDirectoryConformance,
    RemarkCodesConformance,
    RendererConformance,
    TenantChoiceConformance,
)
from claimkit.testing.factories import make_batch, make_claim, make_submission
from claimkit.types import TenantKey
from claimkit.webhooks.payloads import Detail, EventType

logger = logging.getLogger("zorglub")
AT = dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC)
IMPORTED = ClaimsImported(
    tenant=TenantKey("northside"), at=AT, upload="upl_gaston", new=4, changed=0, same=0, rejected=0
)


def finds(test, *arguments, **fixtures):
    """Run one test of a suite and expect it to fail."""
    with pytest.raises((Exception, pytest.fail.Exception)):
        test(*arguments, **fixtures)


# -- normalizers ---------------------------------------------------------------------------


class Normalizer:
    name = "marsupilami"
    after = ()

    def normalize(self, batch, context):
        for claim in batch.claims:
            self.one(claim)

    def one(self, claim):
        claim.facility = claim.facility.strip()


class Waits(Normalizer):
    after = ("marsupilami",)


class Adds(Normalizer):
    def normalize(self, batch, context):
        batch.bytes_read += 1


class Drops(Normalizer):
    def normalize(self, batch, context):
        batch.claims = [one for one in batch.claims if one.facility]


class Copies(Normalizer):
    def normalize(self, batch, context):
        batch.claims = [replace(one) for one in batch.claims]


class Sorts(Normalizer):
    def normalize(self, batch, context):
        batch.claims.reverse()


class Explains(Normalizer):
    def normalize(self, batch, context):
        batch.problems += [
            RowProblem(code="Bad!", message="", remedy="", position=0, kind=ClaimKind.CSV)
            for _ in batch.claims
        ]
        batch.claims.clear()


class Floats(Normalizer):
    def one(self, claim):
        claim.paid = claim.paid / 100


class Instants(Normalizer):
    def one(self, claim):
        claim.decided_on = AT


class Nones(Normalizer):
    def one(self, claim):
        claim.payer = None


class Counts(Normalizer):
    def __init__(self):
        self._seen = itertools.count()

    def one(self, claim):
        claim.facility = str(next(self._seen))


class Looks(Normalizer):
    def normalize(self, batch, context):
        for claim in batch.claims:
            claim.facility = f"{len(batch.claims)}"


class Shares(Normalizer):
    """Keeps the claim at hand on itself, where another thread finds it."""

    def one(self, claim):
        self.at_hand = claim
        time.sleep(0.005)
        claim.facility = f"{id(self.at_hand) == id(claim)}"


class Logs(Normalizer):
    def one(self, claim):
        logger.warning("member %s", claim.member_id)


class Prints(Normalizer):
    def one(self, claim):
        print(claim.patient_control_number)


class Tells(Normalizer):
    def normalize(self, batch, context):
        batch.problems += [
            RowProblem(
                code="payer_unknown",
                message=f"no payer for {one.member_id}",
                remedy="Add one",
                position=one.position,
                kind=one.kind,
            )
            for one in batch.claims
        ]
        batch.claims.clear()


NORMALIZERS = NormalizerConformance()


def once(test):
    """Return a property as a function of one example: nobody needs the smallest one here."""
    inner = test.__func__.hypothesis.inner_test
    return lambda *arguments, **example: inner(test.__self__, *arguments, **example)


def batch():
    return make_batch([make_claim(facility="11 "), make_claim(facility=""), make_submission()])


@pytest.mark.parametrize(
    ("normalizer", "test"),
    [
        (Waits(), NORMALIZERS.test_its_name_is_a_word_and_it_waits_for_others),
        (Adds(), NORMALIZERS.test_a_batch_without_claims_stays_one),
        (Drops(), NORMALIZERS.test_no_claim_is_lost_or_doubled),
        (Copies(), NORMALIZERS.test_no_claim_is_lost_or_doubled),
        (Sorts(), NORMALIZERS.test_no_claim_is_lost_or_doubled),
        (Explains(), NORMALIZERS.test_what_it_cannot_repair_it_explains),
        (Floats(), NORMALIZERS.test_values_keep_their_types),
        (Instants(), NORMALIZERS.test_values_keep_their_types),
        (Nones(), NORMALIZERS.test_values_keep_their_types),
        (Counts(), NORMALIZERS.test_the_same_batch_becomes_the_same),
        (Looks(), NORMALIZERS.test_it_does_not_matter_how_a_file_is_cut_into_batches),
        (Shares(), NORMALIZERS.test_several_threads_normalize_at_the_same_time),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Normalizer) else "",
)
def test_a_broken_normalizer_is_found(normalizer, test):
    if hasattr(test, "hypothesis"):
        once(test)(Normalizer(), batch=batch())
        finds(once(test), normalizer, batch=batch())
    else:
        test(Normalizer())
        finds(test, normalizer)


@pytest.mark.parametrize("broken", [Logs, Prints, Tells])
def test_a_normalizer_that_tells_of_patients_is_found(broken, caplog, capsys):
    test = NORMALIZERS.test_nothing_of_a_patient_is_logged_printed_or_explained

    test(Normalizer(), caplog, capsys)
    finds(test, broken(), caplog, capsys)


# -- renderers -----------------------------------------------------------------------------


class Unnamed(JsonRenderer):
    name = "My Format"


class Dotted(JsonRenderer):
    extension = ".json"


class Silent(JsonRenderer):
    def render(self, report, out):
        pass


class Constant(JsonRenderer):
    def render(self, report, out):
        out.write(b"all is well")


class Closes(JsonRenderer):
    def render(self, report, out):
        super().render(report, out)
        out.close()


class Seeks(JsonRenderer):
    def render(self, report, out):
        super().render(report, out)
        out.seek(0)


class Stamps(JsonRenderer):
    serial = itertools.count()

    def render(self, report, out):
        super().render(report, out)
        out.write(b"%d" % next(self.serial))


class Swallows(JsonRenderer):
    def render(self, report, out):
        with contextlib.suppress(OSError):
            super().render(report, out)


class Needs(JsonRenderer):
    def render(self, report, out):
        out.write(report.sections[0].heading.encode())


class Markup(HtmlRenderer):
    def render(self, report, out):
        out.write(f"<h1>{report.title}</h1>".encode())


class Loads(HtmlRenderer):
    def render(self, report, out):
        out.write(b'<script src="https://example.org/zorglub.js"></script>')


class Formulas(CsvRenderer):
    def render(self, report, out):
        text = io.StringIO()
        text.writelines(f"{one.segment.payer},{one.claims}\n" for one in report.findings)
        out.write(text.getvalue().encode())


class Links(MarkdownRenderer):
    def render(self, report, out):
        out.write(report.headline.encode())


class Buffers(JsonRenderer):
    """Collects what it writes on itself, where another thread finds it."""

    parts: list[bytes] = []

    def render(self, report, out):
        self.parts.clear()
        self.parts.append(report.title.encode())
        time.sleep(0.05)
        self.parts.append(report.headline.encode())
        out.write(b"".join(self.parts))


RENDERERS = RendererConformance()


@pytest.mark.parametrize(
    ("renderer", "test"),
    [
        (Unnamed(), RENDERERS.test_it_says_what_it_makes),
        (Dotted(), RENDERERS.test_it_says_what_it_makes),
        (Silent(), RENDERERS.test_a_report_is_written),
        (Closes(), RENDERERS.test_a_report_is_written),
        (Seeks(), RENDERERS.test_a_report_is_written),
        (Needs(), RENDERERS.test_a_report_with_nothing_in_it_is_written),
        (Stamps(), RENDERERS.test_the_same_report_is_the_same_bytes),
        (Constant(), RENDERERS.test_another_report_is_other_bytes),
        (Swallows(), RENDERERS.test_a_disk_that_is_full_is_an_error),
        (Markup(), RENDERERS.test_no_text_becomes_markup_or_a_formula),
        (Formulas(), RENDERERS.test_no_text_becomes_markup_or_a_formula),
        (Links(), RENDERERS.test_no_text_becomes_markup_or_a_formula),
        (Loads(), RENDERERS.test_a_page_asks_nobody_for_anything),
        (Buffers(), RENDERERS.test_several_threads_write_at_the_same_time),
    ],
    ids=lambda one: type(one).__name__ if hasattr(one, "render") else "",
)
def test_a_broken_renderer_is_found(renderer, test):
    finds(test, renderer)


# -- actions -------------------------------------------------------------------------------


class Loud(LeaveWork):
    emits = ["tasks.made"]


class Changes(LeaveWork):
    def check(self, settings):
        settings["text"] = "changed"
        return super().check(settings)


class Grows(LeaveWork):
    def check(self, settings):
        plain = super().check(settings)
        return {**plain, "text": f"{plain['text']}!"}


class TakesAll(LeaveWork):
    def check(self, settings):
        return {"text": "x", "due_days": None}


class Breaks(LeaveWork):
    def check(self, settings):
        if {"text", "due_days"} < settings.keys():
            raise ConfigError("unknown setting 'zorglub'")
        return {"text": settings["text"].strip()}


class Guesses(OpenAlert):
    def run(self, call):
        return super().run(
            replace(call, facts={**call.facts, "payer": call.facts["payer"].upper()})
        )


class Elsewhere(OpenAlert):
    def run(self, call):
        return super().run(replace(call, tenant="lakeview"))


class Circles(OpenAlert):
    emits = frozenset()

    def run(self, call):
        found = DriftDetected(
            tenant=call.tenant,
            at=call.at,
            finding=call.subject,
            signal="denial_rate",
            severity="high",
            payer="MERIDIAN",
            summary="",
            onset=dt.date(2026, 3, 2),
            dollars_per_month=0,
        )
        return ActionResult(events=(found,))


class Does(LeaveWork):
    def run(self, call):
        return ActionResult()


class Counted(LeaveWork):
    serial = itertools.count()

    def run(self, call):
        text = f"task {next(self.serial)}"
        return super().run(replace(call, settings={"text": text, "due_days": None}))


class Sends(LeaveWork):
    def run(self, call):
        socket.socket().close()
        return super().run(call)


class Sleeps(LeaveWork):
    def run(self, call):
        time.sleep(0.3)
        return super().run(call)


ACTIONS = ActionConformance()
TEXT = {"text": "Call Meridian", "due_days": 3}


def work(kind):
    return kind("zorglub", WorkKind.TASK)


@pytest.mark.parametrize(
    ("action", "test"),
    [
        (work(Loud), ACTIONS.test_its_name_is_a_word_and_it_says_what_follows),
        (LeaveWork("Call them", WorkKind.TAG), None),
    ],
)
def test_an_action_with_a_bad_name_is_found(action, test):
    finds(test or ACTIONS.test_its_name_is_a_word_and_it_says_what_follows, action)


@pytest.mark.parametrize(
    ("action", "settings", "test"),
    [
        (
            work(Changes),
            TEXT,
            ACTIONS.test_settings_in_their_plain_form_are_json_and_stay_as_they_are,
        ),
        (
            work(Grows),
            TEXT,
            ACTIONS.test_settings_in_their_plain_form_are_json_and_stay_as_they_are,
        ),
        (work(TakesAll), TEXT, ACTIONS.test_an_unknown_setting_is_refused_and_named),
        (work(TakesAll), TEXT, ACTIONS.test_senseless_settings_are_refused_and_never_break_it),
        (
            work(Breaks),
            {"text": "x"},
            ACTIONS.test_senseless_settings_are_refused_and_never_break_it,
        ),
        (work(Does), TEXT, ACTIONS.test_it_wants_something),
        (
            work(Counted),
            TEXT,
            ACTIONS.test_the_same_call_wants_the_same_and_stays_as_it_is,
        ),
    ],
    ids=lambda one: type(one).__name__ if hasattr(one, "run") else "",
)
def test_a_broken_action_is_found(action, settings, test):
    finds(test, action, dict(settings))


@pytest.mark.parametrize("broken", [Guesses, Elsewhere, Circles])
def test_an_action_that_wants_what_it_must_not_is_found(broken):
    test = ACTIONS.test_it_says_what_it_wants_whatever_is_known

    test(OpenAlert(), {}, "drift.detected")
    finds(test, broken(), {}, "drift.detected")


@pytest.mark.parametrize("broken", [Sends, Sleeps])
def test_an_action_that_does_it_itself_is_found(broken):
    with pytest.MonkeyPatch.context() as patch:
        ACTIONS.test_it_is_quick_and_talks_to_nobody(work(LeaveWork), TEXT, patch)
        finds(ACTIONS.test_it_is_quick_and_talks_to_nobody, work(broken), TEXT, patch)


# -- directories ---------------------------------------------------------------------------


class Directory:
    name = "marsupilami"

    def __init__(self, *entries):
        self._entries = entries or (DirectoryEntry(name="Zorglub Mutual", aliases=("ZM Health",)),)

    def entries(self):
        return self._entries


class Once(Directory):
    def __init__(self):
        self._left = iter([DirectoryEntry(name="Zorglub Mutual")])

    def entries(self):
        return self._left


class Slow(Directory):
    def entries(self):
        time.sleep(0.3)
        return super().entries()


class Spaced(Directory):
    name = "My Payers"


DIRECTORIES = PayerDirectoryConformance()


@pytest.mark.parametrize(
    ("directory", "test"),
    [
        (Spaced(), DIRECTORIES.test_its_name_is_a_word_and_it_knows_somebody),
        (Once(), DIRECTORIES.test_it_answers_the_same_again_and_from_memory),
        (Slow(), DIRECTORIES.test_it_answers_the_same_again_and_from_memory),
    ],
    ids=lambda one: type(one).__name__ if hasattr(one, "entries") else "",
)
def test_a_broken_directory_is_found(directory, test):
    finds(test, directory, tuple(directory.entries()))


def entry(name, *aliases, ids=()):
    return DirectoryEntry(name=name, aliases=aliases, ids=ids)


@pytest.mark.parametrize(
    ("entries", "test"),
    [
        ([entry(" Zorglub Mutual")], DIRECTORIES.test_names_are_words_of_one_line),
        ([entry("Zorglub\nMutual")], DIRECTORIES.test_names_are_words_of_one_line),
        ([entry("---")], DIRECTORIES.test_names_are_words_of_one_line),
        ([entry("Zorglub", ids=("60054",))], DIRECTORIES.test_ids_have_a_namespace_and_one_payer),
        (
            [entry("Zorglub", ids=("PI:60054",)), entry("Spip", ids=("PI:60054",))],
            DIRECTORIES.test_ids_have_a_namespace_and_one_payer,
        ),
        ([entry("Zorglub", "Zorglub Inc.")], DIRECTORIES.test_every_name_is_that_of_one_payer),
        (
            [entry("Zorglub", "ZM Health"), entry("Spip", "ZM Health")],
            DIRECTORIES.test_every_other_name_suggests_its_payer,
        ),
        (
            [entry("Zorglub Mutual", "Spip Health"), entry("Spip Health")],
            DIRECTORIES.test_no_payer_is_suggested_for_another_one,
        ),
        ([entry("Zorglub", "Medicare")], DIRECTORIES.test_no_payer_is_suggested_for_another_one),
        ([entry("Zorglub 415-555-0123")], DIRECTORIES.test_it_knows_nothing_of_people),
    ],
)
def test_wrong_entries_of_a_directory_are_found(entries, test):
    test((entry("Marsupilami Health", "Palombia Mutual", ids=("PI:417",)),))
    finds(test, tuple(entries))


# -- remark codes --------------------------------------------------------------------------


class Remarks:
    name = "marsupilami"

    def __init__(self, **codes):
        self._codes = codes or {"M127": "missing_records"}

    def categories(self):
        return self._codes


class SlowRemarks(Remarks):
    _asked = 0

    def categories(self):
        self._asked += 1
        time.sleep(0.3 if self._asked > 1 else 0)
        return super().categories()


class NamelessRemarks(Remarks):
    name = "My Remarks"


REMARKS = RemarkCodesConformance()


@pytest.mark.parametrize(
    ("codes", "test"),
    [
        (NamelessRemarks(), REMARKS.test_its_name_is_a_word_and_it_knows_some),
        (SlowRemarks(), REMARKS.test_it_answers_the_same_again_and_from_memory),
        (Remarks(X127="missing_records"), REMARKS.test_codes_are_written_as_readers_store_them),
        (Remarks(m127="missing_records"), REMARKS.test_codes_are_written_as_readers_store_them),
        (Remarks(M127="records"), REMARKS.test_categories_are_those_that_are_documented),
    ],
    ids=["name", "slow", "series", "case", "category"],
)
def test_a_broken_list_of_remark_codes_is_found(codes, test):
    test(Remarks())
    finds(test, codes)


# -- listeners -----------------------------------------------------------------------------


class Listener:
    name = "zorglub.listens"
    topics = frozenset({"claims.imported"})
    phase = "committed"

    def handle(self, event):
        return None


class NoTopics(Listener):
    topics = "claims.imported"


class Deaf(Listener):
    topics = frozenset({"claims.imported", "drift.detected"})


class Late(Listener):
    def handle(self, event):
        time.sleep(0.3)


class Follows(Listener):
    def handle(self, event):
        return [event]


class Raises(Listener):
    phase = "transaction"
    seen = False

    def handle(self, event):
        if self.seen:
            raise RuntimeError("again")
        self.seen = True


class Gossip(Listener):
    def handle(self, event):
        logger.warning("call 415-555-0123 about %s", event.upload)


LISTENERS = ListenerConformance()


@pytest.mark.parametrize(
    ("listener", "test"),
    [
        (Deaf(), LISTENERS.test_the_events_are_of_its_topics),
        (Late(), LISTENERS.test_it_takes_every_event_quickly_and_leaves_it_as_it_is),
        (Follows(), LISTENERS.test_it_takes_every_event_quickly_and_leaves_it_as_it_is),
        (Raises(), LISTENERS.test_the_same_event_twice_does_no_harm),
    ],
    ids=lambda one: type(one).__name__ if hasattr(one, "handle") else "",
)
def test_a_broken_listener_is_found(listener, test):
    test(Listener(), [IMPORTED])
    finds(test, listener, [IMPORTED])


def test_a_listener_that_says_its_topics_wrongly_is_found():
    finds(LISTENERS.test_it_says_who_it_is_and_what_it_hears, NoTopics())


def test_a_listener_that_logs_a_telephone_number_is_found(caplog):
    LISTENERS.test_nothing_personal_is_logged(Listener(), [IMPORTED], caplog)
    finds(LISTENERS.test_nothing_personal_is_logged, Gossip(), [IMPORTED], caplog)


# -- event types ---------------------------------------------------------------------------

EVENT_TYPES = EventTypeConformance()


def event_type(**changed):
    return EventType(
        **{
            "name": "claims.imported",
            "description": "A file is in.",
            "thin": lambda event: {"upload": event.upload, "new": event.new},
            "properties": {"upload": {"type": "string"}, "new": {"type": "integer"}},
            "example": {"upload": "upl_spip", "new": 4},
            **changed,
        }
    )


@pytest.mark.parametrize(
    "thin",
    [
        lambda event: {"upload": event.upload},
        lambda event: {"upload": event.upload, "new": event.new, "more": 1},
        lambda event: {"upload": event.upload, "new": "4"},
        lambda event: {"upload": event.upload, "new": True},
        lambda event: {"upload": event.upload, "new": event.at},
    ],
)
def test_an_event_type_that_sends_what_its_schema_does_not_say_is_found(thin):
    test = EVENT_TYPES.test_what_is_sent_is_what_its_schema_says

    test(event_type(), IMPORTED, Detail.THIN)
    finds(test, event_type(thin=thin), IMPORTED, Detail.THIN)


def test_an_example_that_is_none_is_found():
    finds(
        EVENT_TYPES.test_the_example_is_what_its_schema_says,
        event_type(example={"upload": "upl_spip"}),
        Detail.FULL,
    )


@pytest.mark.parametrize(("text", "secrets"), [("SSN 417-09-3355", ()), ("Ada", ("Ada",))])
def test_an_event_type_that_tells_of_people_is_found(text, secrets):
    test = EVENT_TYPES.test_nothing_personal_is_sent
    gossip = event_type(thin=lambda event: {"upload": text, "new": 1})

    test(event_type(), IMPORTED, secrets, Detail.THIN)
    finds(test, gossip, IMPORTED, secrets, Detail.THIN)


def test_an_event_type_of_another_topic_is_found():
    finds(EVENT_TYPES.test_it_tells_of_the_event, event_type(name="claims.changed"), IMPORTED)


def test_bodies_that_differ_each_time_are_found():
    serial = itertools.count()
    counts = event_type(thin=lambda event: {"upload": event.upload, "new": next(serial)})

    finds(EVENT_TYPES.test_the_same_event_is_the_same_bytes, counts, IMPORTED)


# -- choices of a tenant -------------------------------------------------------------------

CHOICES = TenantChoiceConformance()
#: Somebody who may enter nothing and asks for something.
NOBODY = TenantHint(actor="ada", wanted="lakeview")


@pytest.mark.parametrize(
    "resolve",
    [
        lambda hint: hint.wanted or None,
        lambda hint: TenantKey("northside"),
        lambda hint: hint.permitted[0],
    ],
)
def test_a_choice_that_is_not_permitted_is_found(resolve):
    test = once(CHOICES.test_it_chooses_what_is_permitted_or_leaves_it_to_others)

    test(lambda hint: None, hint=NOBODY)
    finds(test, resolve, hint=NOBODY)


def test_a_choice_that_changes_is_found():
    turns = itertools.cycle([TenantKey("northside"), None])

    finds(once(CHOICES.test_it_chooses_the_same_again), lambda hint: next(turns), hint=NOBODY)


def test_a_slow_choice_is_found():
    finds(CHOICES.test_it_is_quick, lambda hint: time.sleep(0.002))
