"""Signing in and out, and a new password: limited, told to nobody else, and over when it is over."""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from html.parser import HTMLParser

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.core.cache import caches
from django.db import connections
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from claimkit.tenants import Role
from claimkit_django.accounts import checks
from claimkit_django.accounts.models import ApiToken
from claimkit_django.accounts.resets import TokenGenerator
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.audit.models import AuditEntry
from claimkit_django.http.security import PAGE_POLICY

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

urlpatterns = [
    path("account/", include("claimkit_django.accounts.page_urls")),
    path("", include("claimkit_django.urls")),
]

LOGIN, LOGOUT, RESET = "/account/login/", "/account/logout/", "/account/password/"
CHANGE, CHANGED = "/account/password/change/", "/account/password/changed/"
ME = "/api/v1/tokens/"


@pytest.fixture(autouse=True)
def _site(settings):
    caches["default"].clear()
    settings.LOGIN_REDIRECT_URL = "/api/v1/"
    settings.MIDDLEWARE = [
        "claimkit_django.http.security.SecurityHeadersMiddleware",
        *settings.MIDDLEWARE,
    ]
    at = settings.MIDDLEWARE.index("django.contrib.auth.middleware.AuthenticationMiddleware")
    settings.MIDDLEWARE.insert(at, "claimkit_django.accounts.sessions.SessionLimitMiddleware")


@pytest.fixture
def anna(northside, make_member):
    return make_member("anna", (northside, Role.ANALYST), email="anna@example.org")


def sign_in(client, name="anna", password="marsupilami", **told):
    return client.post(LOGIN, {"username": name, "password": password}, **told)


def wait_for(found, seconds=10):
    ends = time.monotonic() + seconds
    while not found() and time.monotonic() < ends:
        time.sleep(0.01)
    return found()


def test_signing_in_gives_the_session_a_new_key(client, anna):
    client.get(LOGIN)
    session = client.session
    session["basket"] = "kept"
    session.save()
    before = session.session_key
    answer = sign_in(client)

    assert (answer.status_code, answer["Location"]) == (302, "/api/v1/")
    assert client.session.session_key != before
    assert client.session["basket"] == "kept"
    assert client.session[SESSION_KEY] == str(anna.pk)
    assert client.get(ME).status_code == 200


def test_every_form_is_guarded_against_forgery(anna):
    client = Client(enforce_csrf_checks=True)

    for where in (LOGIN, LOGOUT, RESET):
        assert client.post(where, {"username": "anna"}).status_code == 403


def test_a_redirect_stays_on_the_site(client, anna):
    answer = client.post(
        LOGIN,
        {"username": "anna", "password": "marsupilami", "next": "https://evil.example/"},
    )

    assert answer["Location"] == "/api/v1/"


def test_attempts_on_an_account_end_and_say_when_to_come_back(client, anna):
    answers = [sign_in(client, password="okapi") for _ in range(5)]
    refused = sign_in(client)
    elsewhere = sign_in(Client(), REMOTE_ADDR="198.51.100.7")

    assert [one.status_code for one in answers] == [200] * 5
    assert answers[0]["RateLimit-Policy"] == '"login";q=5;w=900'
    assert answers[-1]["RateLimit"].startswith('"login";r=0;')
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 1_800
    assert "Too many attempts" in refused.content.decode()
    assert SESSION_KEY not in client.session
    assert elsewhere.status_code == 302


def test_other_spellings_of_a_name_are_not_other_accounts(client, anna):
    for name in ("anna", "ANNA", " anna", "ａｎｎａ", "Anna "):
        sign_in(client, name=name, password="okapi")

    assert sign_in(client).status_code == 429


def test_a_header_does_not_make_another_network(client, anna):
    for number in range(5):
        sign_in(client, password="okapi", headers={"x-forwarded-for": f"203.0.113.{number}"})

    assert sign_in(client, headers={"x-forwarded-for": "203.0.113.9"}).status_code == 429


def test_behind_a_proxy_of_the_site_networks_are_told_apart(client, anna, settings):
    settings.CLAIMKIT = {"REST": {"TRUSTED_PROXIES": 1}}
    for _ in range(5):
        sign_in(client, password="okapi", headers={"x-forwarded-for": "203.0.113.1"})

    assert sign_in(client, headers={"x-forwarded-for": "203.0.113.1"}).status_code == 429
    assert sign_in(client, headers={"x-forwarded-for": "203.0.113.2"}).status_code == 302


def test_many_names_from_one_network_end_too(client, anna, settings):
    settings.CLAIMKIT = {"ACCOUNTS": {"LOGIN_NETWORK_RATE": "3/15m"}}
    for number in range(3):
        sign_in(client, name=f"nobody{number}")

    assert sign_in(client).status_code == 429
    assert sign_in(Client(), REMOTE_ADDR="198.51.100.7").status_code == 302


def test_whoever_is_attacked_still_signs_in_where_they_did_before(anna, settings):
    settings.CLAIMKIT = {"ACCOUNTS": {"LOGIN_ACCOUNT_RATE": "4/1h"}}
    assert sign_in(Client(), REMOTE_ADDR="203.0.113.5").status_code == 302
    for number in range(5):
        sign_in(Client(), password="okapi", REMOTE_ADDR=f"198.51.100.{number}")

    assert sign_in(Client(), REMOTE_ADDR="198.51.100.99").status_code == 429
    assert sign_in(Client(), REMOTE_ADDR="203.0.113.5").status_code == 302


def test_signing_in_rightly_uses_nothing_up(anna):
    for _ in range(12):
        assert sign_in(Client()).status_code == 302


def test_what_is_refused_tells_no_account_from_none(client, anna):
    anna.is_active = True
    wrong = sign_in(client, password="okapi").content
    nobody = sign_in(client, name="nobody", password="okapi").content
    anna.is_active = False
    anna.save()
    inactive = sign_in(client).content

    def plain(page):
        page = re.sub(rb'(csrfmiddlewaretoken" value=")[^"]+', rb"\1", page)
        return page.replace(b"nobody", b"anna")

    assert plain(wrong) == plain(nobody) == plain(inactive)


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_time_do_not_pass_together(anna):
    begin, statuses = threading.Barrier(12), []

    def attempt():
        client = Client()
        begin.wait()
        try:
            statuses.append(sign_in(client, password="okapi").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    assert sorted(statuses) == [200] * 5 + [429] * 7


def test_signing_out_is_a_post_and_says_good_bye(client, anna):
    sign_in(client)
    key = client.session.session_key
    assert client.get(LOGOUT).status_code == 405
    assert client.head(LOGOUT).status_code == 405
    assert client.get(ME).status_code == 200
    answer = client.post(LOGOUT, secure=True)
    page = answer.content.decode()

    assert "Good-bye, anna." in page
    assert "You worked in Northside Hospital." in page
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    assert client.get(ME).status_code == 401
    stolen = Client()
    stolen.cookies["sessionid"] = key
    assert stolen.get(ME).status_code == 401
    assert client.post(LOGOUT).status_code == 200


def test_sign_ins_are_told_to_the_tenants_of_the_person(client, anna, northside, lakeview):
    sign_in(client, password="okapi")
    sign_in(client)
    told = AuditEntry.unscoped.filter(action="session.began")

    assert [(one.tenant_id, one.actor, one.via) for one in told] == [
        (northside.pk, f"user:{anna.pk}", "password")
    ]


# -- a new password ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_mail_lets_a_person_choose_a_new_password(client, anna, northside, mailbox):
    token, text = issue_token(
        user=anna,
        tenant=northside,
        name="nightly",
        scope="read",
        expires_at=timezone.now() + dt.timedelta(days=1),
    )
    elsewhere = Client()
    sign_in(elsewhere)
    asked = client.post(RESET, {"email": "Anna@example.org"}, headers={"host": "testserver"})
    (mail,) = wait_for(lambda: list(mailbox.mails))
    parts = {
        one.get_content_type(): one.get_content() for one in mail.walk() if not one.is_multipart()
    }
    (link,) = re.findall(r"http://testserver(/account/password/\S+/)", parts["text/plain"])
    page = client.get(link, follow=True)
    form = page.redirect_chain[-1][0]
    done = client.post(form, {"new_password1": "tapirs-in-rain", "new_password2": "tapirs-in-rain"})

    assert asked["Location"] == "/account/password/asked/"
    assert mail["To"] == "anna@example.org"
    assert link in parts["text/html"]
    assert "24 hours" in parts["text/plain"]
    assert page["Referrer-Policy"] == "same-origin"
    assert link.split("/")[-2] not in form
    assert done["Location"] == "/account/password/done/"
    assert client.get("/account/password/done/").status_code == 200
    # Nobody is signed in by it, and what the old password let in is over.
    assert SESSION_KEY not in client.session
    assert elsewhere.get(ME).status_code == 401
    assert ApiToken.objects.get(pk=token.pk).revoked_at is not None
    assert Client().get(ME, headers={"authorization": f"Bearer {text}"}).status_code == 401
    assert sign_in(Client()).status_code == 200
    assert sign_in(Client(), password="tapirs-in-rain").status_code == 302
    told = AuditEntry.unscoped.filter(action="password.reset")
    assert [(one.tenant_id, one.target) for one in told] == [(northside.pk, f"user:{anna.pk}")]
    assert "does not work any more" in Client().get(link, follow=True).content.decode()


@pytest.mark.django_db(transaction=True)
def test_nobody_learns_who_has_an_account(anna, mailbox):
    there = Client().post(RESET, {"email": "anna@example.org"})
    wait_for(lambda: mailbox.mails)
    nowhere = Client().post(RESET, {"email": "nobody@example.org"})

    assert (there.status_code, there["Location"]) == (nowhere.status_code, nowhere["Location"])
    assert there.content == nowhere.content
    assert set(there.headers) == set(nowhere.headers)
    assert len(mailbox.mails) == 1


def test_asking_looks_nothing_up_before_it_answers(
    client, anna, monkeypatch, django_assert_num_queries
):
    """The same work for every address, so the same time."""
    asked = []
    monkeypatch.setattr(
        "claimkit_django.accounts.resets._senders",
        lambda: type("Later", (), {"submit": lambda _, *told, **more: asked.append(told)})(),
    )
    for address in ("anna@example.org", "nobody@example.org"):
        with django_assert_num_queries(0):
            client.post(RESET, {"email": address})

    assert len(asked) == 2


@pytest.fixture
def _no_mail(monkeypatch):
    monkeypatch.setattr("claimkit_django.accounts.resets.MailForm.save", lambda *_, **__: None)


@pytest.mark.usefixtures("_no_mail")
@pytest.mark.parametrize("address", ["anna@example.org", "nobody@example.org"])
def test_mails_to_one_address_end(client, anna, address):
    answers = [client.post(RESET, {"email": address}) for _ in range(4)]

    assert [one.status_code for one in answers] == [302, 302, 302, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert "Too many attempts" in answers[-1].content.decode()


@pytest.mark.usefixtures("_no_mail")
def test_mails_from_one_network_end(client, anna):
    answers = [client.post(RESET, {"email": f"n{one}@example.org"}) for one in range(11)]

    assert [one.status_code for one in answers] == [302] * 10 + [429]


def test_a_link_holds_for_a_day(anna, monkeypatch):
    token = TokenGenerator().make_token(anna)
    now = TokenGenerator()._now()
    for hours, holds in ((23.9, True), (24.1, False)):
        later = now + dt.timedelta(hours=hours)
        monkeypatch.setattr(TokenGenerator, "_now", lambda self, later=later: later)
        assert TokenGenerator().check_token(anna, token) is holds

    assert not TokenGenerator().check_token(anna, "nonsense")
    assert not TokenGenerator().check_token(anna, None)


def test_a_link_is_of_the_host_that_the_site_names(client, anna, settings, monkeypatch):
    told = {}
    monkeypatch.setattr(
        "claimkit_django.accounts.resets.MailForm.save", lambda _, **given: told.update(given)
    )
    settings.CLAIMKIT = {"ACCOUNTS": {"DOMAIN": "claims.example.org"}}
    client.post(RESET, {"email": "anna@example.org"})

    assert told["domain_override"] == "claims.example.org"


# -- a password that its person changes --------------------------------------------------------


def change(client, old="marsupilami", new="tapirs-in-rain", again=""):
    return client.post(
        CHANGE, {"old_password": old, "new_password1": new, "new_password2": again or new}
    )


def test_whoever_changes_the_password_stays_and_all_else_ends(client, anna, northside):
    token, text = issue_token(
        user=anna,
        tenant=northside,
        name="nightly",
        scope="read",
        expires_at=timezone.now() + dt.timedelta(days=1),
    )
    elsewhere = Client()
    for one in (client, elsewhere):
        sign_in(one)
    before = client.session.session_key
    answer = change(client)

    assert answer["Location"] == CHANGED
    assert "is changed" in client.get(CHANGED).content.decode()
    assert client.get(ME).status_code == 200
    assert client.session.session_key != before
    stolen = Client()
    stolen.cookies["sessionid"] = before
    assert stolen.get(ME).status_code == elsewhere.get(ME).status_code == 401
    assert ApiToken.objects.get(pk=token.pk).revoked_at is not None
    assert Client().get(ME, headers={"authorization": f"Bearer {text}"}).status_code == 401
    assert sign_in(Client()).status_code == 200
    assert sign_in(Client(), password="tapirs-in-rain").status_code == 302
    told = AuditEntry.unscoped.filter(action="password.changed")
    assert [(one.tenant_id, one.actor, one.via) for one in told] == [
        (northside.pk, f"user:{anna.pk}", "password")
    ]


@pytest.mark.parametrize("where", [CHANGE, CHANGED])
def test_strangers_sign_in_before_they_change_a_password(client, settings, where):
    settings.LOGIN_URL = "claimkit_accounts:login"
    for ask in (client.get, client.post) if where == CHANGE else (client.get,):
        answer = ask(where)

        assert (answer.status_code, answer["Location"]) == (302, f"{LOGIN}?next={where}")


def test_a_session_left_open_does_not_let_anyone_guess_the_password(client, anna):
    sign_in(client)
    answers = [change(client, old=f"guess {one}") for one in range(6)]

    assert [one.status_code for one in answers] == [200] * 5 + [429]
    assert int(answers[-1]["Retry-After"]) > 0
    # Not even the right one, and signing in from there counts together with it.
    assert change(client).status_code == sign_in(Client()).status_code == 429
    assert anna.check_password("marsupilami")


def test_a_new_password_that_will_not_do_uses_no_attempt_up(client, anna, settings):
    validator = "django.contrib.auth.password_validation.NumericPasswordValidator"
    settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": validator}]
    sign_in(client)
    answers = [change(client, new="12345") for _ in range(7)]
    answers.append(change(client, again="something-else-entirely"))

    assert {one.status_code for one in answers} == {200}
    assert 'role="alert"' in answers[0].content.decode()
    assert change(client)["Location"] == CHANGED


def test_a_password_is_not_changed_if_the_rest_cannot_end(client, anna, monkeypatch):
    sign_in(client)
    monkeypatch.setattr(
        "claimkit_django.accounts.pages.end_all", lambda *_: pytest.fail("the trail is down")
    )
    with pytest.raises(pytest.fail.Exception):
        change(client)
    anna.refresh_from_db()

    assert anna.check_password("marsupilami")


# -- sessions end ------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = time.time()

        def time(self):
            return self.now

    made = Clock()
    monkeypatch.setattr("claimkit_django.accounts.sessions.time", made)
    return made


def test_a_session_ends_after_a_while_without_a_request(client, anna, clock):
    sign_in(client)
    key = client.session.session_key
    clock.now += 29 * 60
    assert client.get(ME).status_code == 200
    clock.now += 29 * 60
    assert client.get(ME).status_code == 200
    clock.now += 31 * 60
    assert client.get(ME).status_code == 401
    assert not client.session.exists(key)


def test_a_session_ends_after_a_working_day_however_busy(client, anna, clock):
    sign_in(client)
    for _ in range(12 * 3):
        assert client.get(ME).status_code == 200
        clock.now += 20 * 60
    clock.now += 60

    assert client.get(ME).status_code == 401


def test_what_a_page_asks_by_itself_keeps_no_session_alive(client, anna, clock, settings):
    settings.CLAIMKIT = {"ACCOUNTS": {"IDLE_PATHS": ["/api/v1/tokens/"]}}
    sign_in(client)
    for _ in range(2):
        clock.now += 20 * 60
        status = client.get(ME).status_code

    assert status == 401


def test_an_ended_session_says_so_where_one_signs_in(client, anna, clock):
    sign_in(client)
    clock.now += 31 * 60

    assert "Your session ended" in client.get(LOGIN).content.decode()
    assert "Your session ended" not in client.get(LOGIN).content.decode()


def test_a_read_seldom_writes_the_session(client, anna, clock, django_assert_num_queries):
    sign_in(client)
    writes = []
    for seconds in (5, 30, 40):
        clock.now += seconds
        client.get(LOGIN)
        writes.append(client.session["claimkit_seen"])

    assert len(set(writes)) == 2


def test_sessions_end_in_async_stacks_too(async_client, anna, clock):
    async_client.force_login(anna)
    ask = async_to_sync(async_client.get)
    assert ask(ME).status_code == 200
    clock.now += 31 * 60

    assert ask(ME).status_code == 401


# -- the pages themselves ----------------------------------------------------------------------


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def of(self, tag):
        return [one for name, one in zip(self.tags, self.attributes, strict=True) if name == tag]


@pytest.mark.parametrize(
    "where",
    [
        LOGIN,
        RESET,
        "/account/password/asked/",
        "/account/password/done/",
        "/account/password/MQ/nonsense/",
        CHANGE,
        CHANGED,
    ],
)
def test_pages_are_accessible_and_load_nothing_from_elsewhere(client, anna, where):
    if where in (CHANGE, CHANGED):
        client.force_login(anna)
    answer = client.get(where)
    page = _Page(answer.content.decode())
    labels = {one.get("for") for one in page.of("label")}

    assert answer["Content-Security-Policy"] == PAGE_POLICY
    assert page.of("html")[0]["lang"] == "en-us"
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("title") == 1
    assert {"script", "style"} & set(page.tags) == set()
    assert not [
        one
        for one in page.attributes
        if any(name.startswith("on") or name == "style" for name in one)
    ]
    assert not re.findall(r"(?:https?:)?//", answer.content.decode().replace("<!doctype", ""))
    visible = [
        one for one in page.of("input") if one.get("type") != "hidden" and "hidden" not in one
    ]
    assert {one["id"] for one in visible} <= labels
    assert "no-store" in answer["Cache-Control"]


def test_a_host_overrides_pages_by_templates_of_its_own(client, settings, tmp_path):
    folder = tmp_path / "claimkit_accounts"
    folder.mkdir()
    (folder / "page.html").write_text("<title>Ours</title>{% block content %}{% endblock %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert "<title>Ours</title>" in client.get(LOGIN).content.decode()


# -- checks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "room", [{"LOGIN_RATE": "often"}, {"RESET_NETWORK_RATE": "5"}, {"IDLE_MINUTES": 0}]
)
def test_settings_that_cannot_be_used_are_errors(settings, room):
    settings.CLAIMKIT = {"ACCOUNTS": room}

    assert [one.id for one in checks.check_settings()] == ["claimkit_accounts.E001"]


def test_the_order_of_middleware_is_checked(settings):
    assert checks.check_middleware() == []
    settings.MIDDLEWARE = settings.MIDDLEWARE[::-1]

    assert [one.id for one in checks.check_middleware()] == ["claimkit_accounts.E002"]


def test_sessions_in_cookies_are_warned_of(settings):
    assert checks.check_sessions() == []
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

    assert [one.id for one in checks.check_sessions()] == ["claimkit_accounts.W001"]
