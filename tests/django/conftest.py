"""Two tenants that must never meet, and people of each role."""

from __future__ import annotations

import datetime as dt

import pytest

from claimkit.tenants import Role
from claimkit_django.claims.models import Upload
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter


@pytest.fixture
def northside(db):
    return Tenant.objects.create(key="northside", name="Northside Hospital")


@pytest.fixture
def lakeview(db):
    return Tenant.objects.create(key="lakeview", name="Lakeview Clinic", timezone="America/Chicago")


@pytest.fixture
def make_upload():
    def make(tenant, **values):
        with enter(tenant):
            return Upload.objects.create(
                **{"name": "era_0412.835", "known_on": dt.date(2026, 4, 12), **values}
            )

    return make


@pytest.fixture
def make_member(django_user_model):
    def make(username, *memberships, **values):
        user = django_user_model.objects.create_user(
            username=username, password="marsupilami", **values
        )
        for tenant, role in memberships:
            tenant.memberships.create(user=user, role=Role(role).value)
        return user

    return make
