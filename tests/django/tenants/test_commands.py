from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from claimkit.tenants import Role
from claimkit_django.tenants.members import role_of
from claimkit_django.tenants.models import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command("claimkit_tenant", *arguments, stdout=out)
    return out.getvalue()


def test_create_makes_a_tenant_with_an_owner(make_member):
    gaston = make_member("gaston")

    run("create", "northside", "--name", "Northside Hospital", "--owner", "gaston")

    tenant = Tenant.objects.get()
    assert (tenant.key, tenant.name, tenant.timezone) == ("northside", "Northside Hospital", "UTC")
    assert role_of(gaston, tenant) is Role.OWNER


@pytest.mark.parametrize(
    "arguments",
    [("North Side",), ("northside", "--timezone", "Mars/Olympus"), ("x", "--owner", "nobody")],
)
def test_create_says_what_is_wrong_and_makes_nothing(arguments):
    with pytest.raises(CommandError):
        run("create", *arguments)

    assert not Tenant.objects.exists()


def test_create_refuses_a_key_that_is_taken(northside):
    with pytest.raises(CommandError):
        run("create", "northside")


def test_list_shows_tenants(northside, lakeview):
    lakeview.active = False
    lakeview.save()

    assert run("list") == (
        "lakeview  Lakeview Clinic  America/Chicago  (inactive)\n"
        "northside  Northside Hospital  UTC\n"
    )
    assert json.loads(run("list", "--format", "json").splitlines()[1]) == {
        "key": "northside",
        "name": "Northside Hospital",
        "timezone": "UTC",
        "active": True,
    }


def test_add_member_grants_a_role(northside, make_member):
    spirou = make_member("spirou", (northside, "owner"))
    make_member("fantasio")

    run("add-member", "northside", "fantasio", "--role", "owner")
    run("add-member", "northside", "spirou", "--role", "analyst")

    assert role_of(spirou, northside) is Role.ANALYST
    with pytest.raises(CommandError, match="needs an owner"):
        run("add-member", "northside", "fantasio", "--role", "viewer")
    with pytest.raises(CommandError):
        run("add-member", "nowhere", "fantasio")
