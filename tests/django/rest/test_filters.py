from __future__ import annotations

import django_filters
import pytest
from django.contrib.auth import get_user_model
from django.urls import path
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny

from claimkit_django.rest.filters import Ordering, StrictFilterSet
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.views import ApiView, ListSettings

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = get_user_model()
        fields = ("username",)


class UserFilters(StrictFilterSet):
    kind = django_filters.ChoiceFilter(
        field_name="first_name", choices=[("beaver", "Beaver"), ("otter", "Otter")]
    )
    joined_from = django_filters.DateFilter(field_name="date_joined", lookup_expr="date__gte")

    class Meta:
        model = get_user_model()
        fields: list[str] = []


class UserList(ListSettings, ApiView, generics.ListAPIView):
    permission_classes = (AllowAny,)
    serializer_class = UserSerializer
    filterset_class = UserFilters
    orderings = {"username": Ordering(SortKey("username"))}
    default_ordering = "username"

    def get_queryset(self):
        return get_user_model().objects.all()


class BareList(UserList):
    filterset_class = None
    orderings = {"username": Ordering(SortKey("username"))}


urlpatterns = [path("users/", UserList.as_view()), path("bare/", BareList.as_view())]


@pytest.fixture
def animals():
    return [
        get_user_model().objects.create(username=name, first_name=kind)
        for name, kind in (("bucky", "beaver"), ("olive", "otter"))
    ]


def names(answer):
    assert answer.status_code == 200, answer.content
    return [row["username"] for row in answer.json()["results"]]


def errors(answer):
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    return {one["attr"]: (one["code"], one["detail"]) for one in answer.json()["errors"]}


def test_a_known_filter_filters(client, animals):
    assert names(client.get("/users/?kind=otter")) == ["olive"]
    assert names(client.get("/users/?joined_from=2020-01-01&kind=beaver")) == ["bucky"]


def test_ordering_orders_in_both_directions(client, animals):
    assert names(client.get("/users/")) == ["bucky", "olive"]
    assert names(client.get("/users/?ordering=-username")) == ["olive", "bucky"]


def test_an_unknown_parameter_is_named_with_the_nearest(client):
    assert errors(client.get("/users/?joind_from=2026-01-01&zzz=1")) == {
        "joind_from": ("unknown_parameter", "unknown parameter; did you mean 'joined_from'?"),
        "zzz": ("unknown_parameter", "unknown parameter"),
    }


def test_a_view_without_filters_knows_only_paging_and_ordering(client, animals):
    assert names(client.get("/bare/?page_size=1")) == ["bucky"]
    assert errors(client.get("/bare/?kind=otter"))["kind"][0] == "unknown_parameter"


def test_a_bad_choice_is_named_with_the_choices_and_the_nearest(client):
    assert errors(client.get("/users/?kind=oter")) == {
        "kind": ("invalid_choice", "not one of beaver, otter; did you mean 'otter'?")
    }


def test_a_bad_date_is_named(client):
    assert errors(client.get("/users/?joined_from=yesterday")) == {
        "joined_from": ("invalid", "Enter a valid date.")
    }


def test_an_empty_value_is_refused_where_it_would_filter_nothing(client):
    told = ("empty_parameter", "empty; leave the parameter out")

    assert errors(client.get("/users/?kind=&joined_from=")) == {"kind": told, "joined_from": told}


def test_a_repeated_parameter_is_refused_instead_of_half_used(client):
    assert errors(client.get("/users/?kind=otter&kind=beaver"))["kind"][0] == "repeated_parameter"


def test_a_bad_ordering_is_named(client):
    assert errors(client.get("/users/?ordering=-usrname")) == {
        "ordering": (
            "invalid_choice",
            "nothing can be ordered by 'usrname'; did you mean 'username'?",
        )
    }
    assert "choose from username" in errors(client.get("/users/?ordering=password"))["ordering"][1]


def test_a_very_long_parameter_is_cut_in_the_answer(client):
    (attr,) = errors(client.get("/users/", {"x" * 500: "1"}))

    assert len(attr) == 40
