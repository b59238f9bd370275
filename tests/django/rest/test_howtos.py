"""The requests that how-to guides show are taken, in the order in which a reader sends them."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from django.core.cache import caches
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.tenants import Role

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

DOCS = Path(__file__).parents[3] / "docs"
_REQUEST = re.compile(
    r"^```text\n(?P<method>POST|PUT|PATCH) (?P<address>/api/\S*)\n(?P<body>\{.*?\})\n```$",
    re.MULTILINE | re.DOTALL,
)
_BLANK = re.compile(r"<([^<>]+)>")


def requests(page):
    return [
        (one["method"], one["address"], one["body"]) for one in _REQUEST.finditer(page.read_text())
    ]


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if requests(page)]


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_request_is_taken(page, northside, make_member):
    client = APIClient()
    client.force_authenticate(make_member("olga", (northside, Role.OWNER)))
    #: What stands for a blank of the page: what was made under that name, or a time.
    known = {"in a week": (timezone.now() + dt.timedelta(days=7)).isoformat()}
    tags = {}
    for method, address, body in requests(page):
        where, what = (_BLANK.sub(lambda one: known[one[1]], text) for text in (address, body))
        headers = {"If-Match": tags[where]} if where in tags else {}
        answer = client.generic(method, where, what, "application/json", headers=headers)
        assert answer.status_code in {200, 201, 202}, (address, answer.content)
        told = answer.json()
        if "name" in told:
            known[told["name"]] = told["uid"]
        if "ETag" in answer and "_links" in told and "self" in told["_links"]:
            tags[told["_links"]["self"]] = answer["ETag"]
        assert json.loads(what)


def test_there_are_pages_with_requests():
    assert len(PAGES) >= 6
