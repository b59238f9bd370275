"""Keyset pagination over a real table: Django's users, whose ``last_login`` may be NULL."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient

from claimkit_django.keysets import SortKey, _pack, _unpack
from claimkit_django.rest.filters import Ordering
from claimkit_django.rest.views import ApiView, ListSettings

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = get_user_model()
        fields = ("id", "username", "last_login")


class UserList(ListSettings, ApiView, generics.ListAPIView):
    permission_classes = (AllowAny,)
    throttle_classes = ()
    serializer_class = UserSerializer
    orderings = {
        "last_login": Ordering(SortKey("last_login", nullable=True), SortKey("pk")),
        "first_name": Ordering(SortKey("first_name"), SortKey("pk")),
    }
    default_ordering = "-last_login"

    def get_queryset(self):
        return get_user_model().objects.all()


urlpatterns = [path("users/", UserList.as_view())]


def make_users(logins, names=()):
    users = [
        get_user_model()(
            username=f"beaver-{index}",
            last_login=None if day is None else dt.datetime(2026, 1, day, tzinfo=dt.UTC),
            first_name=names[index] if names else "",
        )
        for index, day in enumerate(logins)
    ]
    return get_user_model().objects.bulk_create(users)


def walk(client, url, *, link="next"):
    pages = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.content
        pages.append([row["id"] for row in answer.json()["results"]])
        url = answer.json()["_links"][link]
    return pages


def rows_of(pages):
    return [row for page in pages for row in page]


def expected_order(*, ordering):
    def last_login(user):
        return user.last_login.timestamp()

    users = list(get_user_model().objects.all())
    with_login = [user for user in users if user.last_login]
    without = [user for user in users if not user.last_login]
    if ordering == "last_login":
        with_login.sort(key=lambda user: (last_login(user), user.pk))
        without.sort(key=lambda user: user.pk)
    else:
        with_login.sort(key=lambda user: (-last_login(user), -user.pk))
        without.sort(key=lambda user: -user.pk)
    return [user.pk for user in with_login + without]


class EveryWalk(HypothesisTestCase):
    @given(
        logins=st.lists(st.none() | st.integers(1, 3), max_size=12),
        size=st.integers(1, 5),
        ordering=st.sampled_from(["last_login", "-last_login"]),
    )
    def test_sees_every_row_once_in_order_in_both_directions(self, logins, size, ordering):
        make_users(logins)

        self.see_both_directions(ordering, size, expected_order(ordering=ordering))

    @given(
        names=st.lists(st.sampled_from("abc"), max_size=12),
        size=st.integers(1, 5),
        descending=st.booleans(),
    )
    def test_rows_that_share_a_value_are_told_apart(self, names, size, descending):
        users = make_users([None] * len(names), names=names)
        users.sort(key=lambda user: (user.first_name, user.pk), reverse=descending)

        ordering = "-first_name" if descending else "first_name"
        self.see_both_directions(ordering, size, [user.pk for user in users])

    def see_both_directions(self, ordering, size, expected):
        client = APIClient()
        start = f"/users/?ordering={ordering}&page_size={size}"

        forwards = walk(client, start)
        last = start
        while (url := client.get(last).json()["_links"]["next"]) is not None:
            last = url
        backwards = walk(client, last, link="prev")

        assert rows_of(forwards) == expected
        assert rows_of(reversed(backwards)) == rows_of(forwards)


def test_inserts_and_deletes_neither_repeat_nor_hide_rows(client):
    users = make_users([1, 2, 3, 4, 5, 6])
    first = client.get("/users/?ordering=last_login&page_size=2").json()
    make_users_before = get_user_model()(
        username="otter", last_login=dt.datetime(2025, 12, 1, tzinfo=dt.UTC)
    )
    make_users_before.save()
    users[1].delete()

    rest = walk(client, first["_links"]["next"])

    assert rows_of(rest) == [user.pk for user in users[2:]]


def test_a_page_is_one_query_without_a_count(client):
    make_users([1, 2, 3, None])

    with CaptureQueriesContext(connection) as queries:
        client.get("/users/?page_size=2")

    assert len(queries) == 1
    assert "COUNT" not in queries[0]["sql"].upper()


def test_a_deep_page_starts_at_its_edge(client):
    """Columns without NULL are compared as one row, which an index answers where it begins."""
    make_users([1, 2, 3], names=["a", "b", "c"])
    second = client.get("/users/?ordering=first_name&page_size=1").json()["_links"]["next"]

    with CaptureQueriesContext(connection) as queries:
        client.get(second)

    table = get_user_model()._meta.db_table
    edge = re.compile(rf'\("{table}"."first_name", "{table}"."id"\) > \(')
    assert edge.search(queries[0]["sql"]), queries[0]["sql"]


def test_links_are_also_in_the_link_header(client):
    make_users([1, 2])
    answer = client.get("/users/?page_size=1")

    assert answer["Link"] == f'<{answer.json()["_links"]["next"]}>; rel="next"'
    assert answer.json()["_links"]["self"] == "/users/?page_size=1"
    assert "Link" not in client.get("/users/")


@pytest.mark.parametrize("size", ["0", "501", "-1", "2.5", "many", "²", "9" * 30, ""])
def test_a_bad_page_size_is_named(client, size):
    answer = client.get("/users/", {"page_size": size})

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"code": "invalid", "attr": "page_size", "detail": "must be a whole number from 1 to 500"}
    ]


def test_a_forged_cursor_is_refused(client):
    answer = client.get("/users/?cursor=W10:1wXyZ0:forged")

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_cursor"


def test_a_cursor_of_another_ordering_is_refused(client):
    make_users([1, 2])
    following = client.get("/users/?ordering=last_login&page_size=1").json()["_links"]["next"]

    answer = client.get(following.replace("ordering=last_login", "ordering=-last_login"))

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_cursor"


@pytest.mark.parametrize(
    "value",
    [None, 7, "text", dt.date(2026, 2, 3), dt.datetime(2026, 2, 3, tzinfo=dt.UTC), Decimal("1.50")],
)
def test_sort_values_survive_the_cursor(value):
    assert _unpack(_pack(value)) == value
