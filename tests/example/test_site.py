"""The example served for real: a server, a worker over files, and a browser's requests."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import functools
import importlib.util
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

pytest.importorskip("celery")
pytest.importorskip("rest_framework")

PROJECT = Path(__file__).parents[2] / "example_project"
PEOPLE = """
from example import people
people.make_tenant(key="northside", name="Northside Hospital", timezone="UTC")
people.make_tenant(key="lakeview", name="Lakeview Clinic", timezone="UTC")
print(people.password())
"""
ONSET = dt.date(2026, 1, 5)


def claims_csv():
    """Ten months of one payer's MRI claims; from ``ONSET`` on, half of them are denied."""
    chance = random.Random(20_260_105)
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(
        [
            "claim id",
            "payer",
            "cpt",
            "date of service",
            "submitted date",
            "decision date",
            "billed",
            "paid",
            "status",
            "carc",
        ]
    )
    for number in range(9_000):
        decided = dt.date(2025, 6, 2) + dt.timedelta(days=number // 30)
        is_denied = chance.random() < (0.5 if decided >= ONSET else 0.1)
        sent = decided - dt.timedelta(days=chance.randint(10, 30))
        money = ("0.00", "denied", "CO-197") if is_denied else ("900.00", "paid", "")
        rows.writerow([f"A{number:06}", "Aetna", "73721", sent, sent, decided, "1450.00", *money])
    rows.writerow(["A999999", "Aetna", "73721", "2026-01-05", "", "", "12..5", "", "paid", ""])
    return out.getvalue().encode()


class Site:
    """A running example with its worker."""

    def __init__(self, folder):
        self.env = {
            **os.environ,
            "CLAIMKIT_DEMO_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "example.settings",
        }
        for name in ("DATABASE_URL", "REDIS_URL"):
            self.env.pop(name, None)
        self.manage("migrate", "-v0")
        self.password = self.manage("shell", "-v0", "-c", PEOPLE).strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = (folder / "site.log").open("wb")
        self.running = [
            self._start("manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"),
            self._start("-m", "celery", "-A", "example", "worker", "--pool", "solo"),
        ]

    def _start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self.env,
            stdout=self.log,
            stderr=self.log,
        )

    def manage(self, *arguments):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=30)
        self.log.close()

    def call(self, path, *, user="", token="", method=None, body=None, **headers):
        """Return status, headers and JSON of a call with basic credentials or a token."""
        basic = base64.b64encode(f"{user}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=body, method=method
        )
        request.add_header("Authorization", f"Bearer {token}" if token else f"Basic {basic}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, _read(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, _read(error)

    def browser(self, user):
        """Return an opener that is signed in."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = self.page(opener, "/login/")
        form = {"username": user, "password": self.password, "csrfmiddlewaretoken": _token(page)}
        self.page(opener, "/login/", form)
        return opener

    def page(self, opener, path, form=None):
        data = urllib.parse.urlencode(form).encode() if form else None
        with opener.open(f"http://127.0.0.1:{self.port}{path}", data, timeout=30) as answer:
            return answer.read().decode()


def _read(answer):
    text = answer.read()
    return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text


def _token(page):
    return re.search(r'csrfmiddlewaretoken" value="(\w+)"', page).group(1)


def wait_for(question, *, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if (answer := question()) is not None:
                return answer
        except urllib.error.URLError:
            pass  # still starting
        time.sleep(0.2)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("demo"))
    try:
        wait_for(lambda: running.call("/api/v1/", user="northside-viewer")[2])
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def upload(site):
    """A file that an analyst sent and the worker has read."""
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="q1.csv"\r\n'
    body += b"Content-Type: text/csv\r\n\r\n" + claims_csv() + b"\r\n--edge--\r\n"
    status, headers, sent = site.call(
        "/api/v1/uploads/",
        user="northside-analyst",
        body=body,
        Content_Type="multipart/form-data; boundary=edge",
    )
    assert status == 202, sent

    def finished():
        seen = site.call(headers["Location"], user="northside-viewer")[2]
        return seen if seen["progress"]["done"] else None

    return wait_for(finished)


@pytest.mark.slow
def test_an_upload_is_read_by_the_worker_and_its_drift_is_found(site, upload):
    assert upload["status"] == "partial", upload["error"]
    assert upload["claims_new"] == 9_000
    assert [one["position"] for one in upload["problems"]] == [9_002]

    site.manage("claimkit_watch", "--tenant", "northside", "-v0")
    active = site.call("/api/v1/drift/active/", user="northside-viewer")[2]["results"]

    denials = [one for one in active if one["signal"] == "denial_rate"]
    assert [one["payer"].casefold() for one in denials] == ["aetna"]
    assert abs(dt.date.fromisoformat(denials[0]["onset"]) - ONSET) <= dt.timedelta(days=14)
    assert float(denials[0]["dollars_per_month"]) > 10_000


@pytest.mark.slow
def test_people_deal_with_its_alert(site, upload):
    site.manage("claimkit_watch", "--tenant", "northside", "-v0")
    browser = site.browser("northside-analyst")
    (where,) = set(
        re.findall(r"/dashboard/alerts/alr_\w+/", site.page(browser, "/dashboard/alerts/"))
    )
    page = site.page(browser, where)
    assert "I deal with it" in page

    answered = site.page(browser, f"{where}acknowledge/", {"csrfmiddlewaretoken": _token(page)})
    assert "Acknowledged, with northside-analyst" in answered
    assert "I deal with it" not in answered
    assert "alr_" not in site.page(site.browser("lakeview-owner"), "/dashboard/alerts/")
    assert "Mail that was sent" in site.page(browser, "/mail/")


@pytest.mark.slow
def test_the_other_hospital_sees_nothing_of_it(site, upload):
    status, _, body = site.call(upload["_links"]["self"], user="lakeview-owner")
    assert (status, body["code"]) == (404, "not_found")
    assert site.call("/api/v1/claims/", user="lakeview-owner")[2]["results"] == []


# -- from outside, as programs: nothing of claimkit is imported ---------------------------------

_UID = re.compile(r"\b[a-z]{3}_[0-9a-z]{10,}\b")


def _links(body):
    """Yield every address in any ``_links``, however deep."""
    if isinstance(body, list):
        for one in body:
            yield from _links(one)
    elif isinstance(body, dict):
        for name, one in body.items():
            if name == "_links":
                yield from (where for where in one.values() if where)
            else:
                yield from _links(one)


def _shape(where):
    return re.sub(r"cursor=[^&]+", "cursor=…", _UID.sub("…", where))


def walk(site, *, each=3, **who):
    """Follow every link from the root; of addresses that differ in ids only, some of each."""
    found, waiting, shapes = {}, ["/api/v1/"], {}
    while waiting:
        where = waiting.pop()
        where = re.sub(r"^https?://[^/]+", "", where)
        shapes.setdefault(_shape(where), set())
        if where in found or len(shapes[_shape(where)]) >= each:
            continue
        shapes[_shape(where)].add(where)
        found[where] = status, headers, body = site.call(where, **who)
        waiting += _links(body)
        assert status < 500, (where, body)
        assert headers["X-Request-ID"], where
    return found


@pytest.fixture(scope="module")
def token_of(site):
    """Return a token of a person, made once: passwords are meant to take long to check."""

    @functools.cache
    def make(user, *, personal=True):
        body = json.dumps({"name": "walk", "scope": "write", "personal": personal}).encode()
        status, _, made = site.call(
            "/api/v1/tokens/", user=user, body=body, Content_Type="application/json"
        )
        assert status == 201, made
        return made["token"]

    return make


@pytest.fixture(scope="module")
def seen(site, upload, token_of):
    """What the owner of the hospital sees, after its drift was looked for."""
    site.manage("claimkit_watch", "--tenant", "northside", "-v0")
    return walk(site, token=token_of("northside-owner"))


@pytest.mark.slow
def test_every_link_of_every_role_leads_somewhere(site, seen, token_of):
    assert {status for status, _, _ in seen.values()} == {200}
    assert len(seen) > 40
    assert {"/api/v1/claims/", "/api/v1/findings/", "/api/v1/tokens/"} <= seen.keys()
    for role in ("admin", "analyst", "viewer"):
        mine = walk(site, token=token_of(f"northside-{role}"))

        assert {status for status, _, _ in mine.values()} == {200}, role
        kept = seen.keys() - mine.keys()
        beyond = {where for where in kept if "?" not in where and not _UID.search(where)}
        assert bool(beyond) == (role in ("analyst", "viewer")), (role, beyond)


@pytest.mark.slow
def test_the_neighbor_gets_nothing_by_any_address_or_method(site, seen, token_of):
    theirs = sorted(where for where in seen if _UID.search(where) or "northside" in where)
    ids = {one for where in theirs for one in _UID.findall(where)}
    assert {"clm", "fnd", "run", "tok", "upl"} <= {one[:3] for one in ids}, ids

    for where in theirs:
        for method in ("GET", "PUT", "PATCH", "POST", "DELETE"):
            status, headers, body = site.call(
                where,
                # What a token may not take is told of one's own only.
                token=token_of("lakeview-owner", personal=False),
                method=method,
                body=None if method == "GET" else b"{}",
            )
            assert status in ({404} if method == "GET" else {404, 405}), (method, where, body)
            assert headers["Content-Type"] == "application/problem+json"
            assert not _UID.search(json.dumps(body))
    mine = walk(site, token=token_of("lakeview-owner"))
    assert {status for status, _, _ in mine.values()} == {200}
    told = json.dumps([body for _, _, body in mine.values() if not isinstance(body, bytes)])
    assert not {one for one in ids if one in told}
    # Nothing of it did anything either.
    owner = token_of("northside-owner")
    assert {site.call(where, token=owner)[0] for where in theirs} == {200}


@pytest.mark.slow
def test_a_token_opens_one_hospital_and_no_header_another(site, seen):
    asked = {"body": b'{"name": "walk", "scope": "read"}', "Content_Type": "application/json"}
    status, headers, made = site.call("/api/v1/tokens/", user="lakeview-owner", **asked)
    assert status == 201, made
    token = made["token"]
    theirs = next(one for one in seen if _UID.search(one))

    assert {one[0] for one in walk(site, token=token, each=1).values()} == {200}
    for header in ({}, {"X_Tenant": "northside"}):
        assert site.call(theirs, token=token, **header)[0] in {403, 404}
        assert site.call(theirs, user="lakeview-owner", **header)[0] in {403, 404}
    # It reads, and a token makes no tokens.
    assert site.call("/api/v1/tokens/", token=token, **asked)[0] == 403
    assert site.call(headers["Location"], user="lakeview-owner", method="DELETE")[0] == 204
    assert site.call("/api/v1/claims/", token=token)[0] == 401


# -- a client that is generated from the OpenAPI document ---------------------------------------


@pytest.fixture(scope="module")
def ask(site, token_of, tmp_path_factory):
    """Generate the client; return what asks by it for everything that there is."""
    folder = tmp_path_factory.mktemp("client")
    told = site.call("/api/v1/schema/?format=json", token=token_of("northside-viewer"))[2]
    (folder / "openapi.json").write_text(json.dumps(told))
    made = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json"]
    subprocess.run([*made, "--meta", "none", "--output-path", "hospital"], cwd=folder, check=True)

    def run(token, theirs):
        done = subprocess.run(
            [sys.executable, USE, f"http://127.0.0.1:{site.port}", token, json.dumps(theirs)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


USE = Path(__file__).with_name("use_client.py")
_READ, _REFUSED, _NOT_HERE = [200, ""], [403, "permission_denied"], [404, "not_found"]
#: Listings that a viewer may not read, and an analyst neither.
_OF_ADMINS = {
    "alerts_channels_list",
    "audit_list",
    "memberships_list",
    "webhooks_deliveries_list",
    "webhooks_endpoints_list",
}
_OF_ANALYSTS = {"exports_list", "exports_sources_retrieve"}
#: Role → what it may not read, and what it may not change.
_BEYOND = {
    "owner": (set(), set()),
    "admin": (set(), set()),
    "analyst": (_OF_ADMINS, {"reports_schedules_create"}),
    "viewer": (_OF_ADMINS | _OF_ANALYSTS, {"reports_schedules_create", "templates_create"}),
}


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("openapi_python_client") is None,
    reason="openapi-python-client is not installed; `tox run -e client` brings it",
)
def test_a_generated_client_speaks_to_it_in_every_role(site, seen, token_of, ask):
    theirs = ask(token_of("northside-owner"), {})["rows"]
    assert {"alerts_list", "claims_list", "findings_list", "runs_list", "uploads_list"} <= {
        one for one, uids in theirs.items() if uids
    }
    other = ask(token_of("lakeview-owner"), theirs)
    for role, (unread, unchanged) in _BEYOND.items():
        mine = ask(token_of(f"northside-{role}"), other["rows"])

        lists, changes = mine["lists"], mine["changes"]
        assert {one for one, answer in lists.items() if answer == _REFUSED} == unread, role
        assert {one for one, answer in lists.items() if answer == _READ} == lists.keys() - unread
        assert {one for one, answer in changes.items() if answer == _REFUSED} == unchanged, role
        assert {
            one for one, answer in changes.items() if answer == [204, ""]
        } == changes.keys() - unchanged, changes
        assert set(map(tuple, mine["reads"].values())) == {tuple(_READ)}, mine["reads"]
        assert len(lists) > 35
        for one, answer in mine["others"].items():
            is_unread = one.replace("_retrieve", "_list") in unread
            assert answer == (_REFUSED if is_unread else _NOT_HERE), (role, one)
    assert {str(answer) for answer in other["lists"].values()} == {str(_READ)}
    # It is told of nothing that is the other's, neither in lists nor by its id.
    assert {str(answer) for answer in other["others"].values()} == {str(_NOT_HERE)}
    assert other["others"].keys() >= {
        f"{one}_retrieve" for one in ("alerts", "claims", "findings", "runs", "uploads")
    }
    told = {uid for uids in other["rows"].values() for uid in uids}
    assert not told & {uid for uids in theirs.values() for uid in uids}


@pytest.mark.slow
@pytest.mark.parametrize("role", ["owner", "admin", "analyst", "viewer"])
def test_every_role_sees_the_pages_and_viewers_cannot_send(site, upload, role):
    browser = site.browser(f"northside-{role}")

    assert "Northside Hospital" in site.page(browser, "/")
    files = site.page(browser, "/dashboard/uploads/")
    assert "q1.csv" in files
    assert ('type="file"' in files) == (role != "viewer")


@pytest.mark.slow
@pytest.mark.parametrize("user", ["group-analyst", "site-admin"])
def test_who_may_enter_both_chooses(site, upload, user):
    browser = site.browser(user)
    page = site.page(browser, "/")
    assert "Whose claims do you want to see?" in page

    chosen = {"tenant": "lakeview", "csrfmiddlewaretoken": _token(page)}
    answered = site.page(browser, "/dashboard/organizations/", chosen)
    assert "Lakeview Clinic" in answered
    assert "There are no decisions of payers yet" in answered


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    browser = site.browser("northside-owner")
    for path in (
        "/",
        "/dashboard/uploads/",
        "/dashboard/alerts/",
        "/dashboard/automation/",
        "/mail/",
        "/login/",
        "/api/v1/docs/",
        "/api/v1/redoc/",
    ):
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', site.page(browser, path)), path


@pytest.mark.slow
def test_operators_see_how_it_fares(site, upload):
    status, _, told = site.call("/health/", user="site-admin")
    text = site.page(site.browser("site-admin"), "/metrics")

    assert (status, told["status"]) == (200, "ok"), told
    assert {"database", "migrations", "alerts", "broker"} <= told["checks"].keys()
    assert (
        'claimkit_http_requests_total{method="POST",route="/api/v1/uploads/",status="202"}' in text
    )
    assert 'claimkit_uploads_waiting{status="queued"} 0.0' in text
