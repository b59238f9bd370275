from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from claimkit.errors import TenantForbidden
from claimkit.tenants import Role
from claimkit_django.tenants.members import LastOwner, grant, remove, role_of
from claimkit_django.tenants.models import Membership, Tenant

pytestmark = pytest.mark.django_db


def test_a_member_has_the_role_of_each_tenant(northside, lakeview, make_member):
    gaston = make_member("gaston", (northside, "owner"), (lakeview, "viewer"))

    assert role_of(gaston, northside) is Role.OWNER
    assert role_of(gaston, lakeview) is Role.VIEWER


def test_nobody_else_has_a_role(northside, make_member, django_user_model):
    from django.contrib.auth.models import AnonymousUser

    inactive = make_member("fantasio", (northside, "admin"), is_active=False)
    root = django_user_model.objects.create_superuser("root")

    assert role_of(AnonymousUser(), northside) is None
    assert role_of(make_member("spip"), northside) is None
    assert role_of(inactive, northside) is None
    assert role_of(root, northside) is Role.OWNER


def test_grant_makes_a_member_and_changes_the_role(northside, make_member):
    spirou = make_member("spirou")

    grant(tenant=northside, user=spirou, role=Role.VIEWER, by=Role.ADMIN)
    grant(tenant=northside, user=spirou, role=Role.ANALYST, by=Role.ADMIN)

    assert role_of(spirou, northside) is Role.ANALYST


@pytest.mark.parametrize(
    ("by", "role"),
    [(Role.ADMIN, Role.OWNER), (Role.ANALYST, Role.VIEWER), (Role.VIEWER, Role.VIEWER)],
)
def test_nobody_grants_a_role_above_their_own(northside, make_member, by, role):
    with pytest.raises(TenantForbidden):
        grant(tenant=northside, user=make_member("spirou"), role=role, by=by)


def test_an_admin_neither_demotes_nor_removes_an_owner(northside, make_member):
    owner = make_member("gaston", (northside, "owner"))
    make_member("prunelle", (northside, "owner"))
    member = Membership.objects.get(user=owner)

    with pytest.raises(TenantForbidden):
        grant(tenant=northside, user=owner, role=Role.VIEWER, by=Role.ADMIN)
    with pytest.raises(TenantForbidden):
        remove(member=member, by=Role.ADMIN)

    remove(member=member, by=Role.OWNER)
    assert role_of(owner, northside) is None


def demote(member):
    member.role = "viewer"
    member.save()


@pytest.mark.parametrize(
    "leave",
    [
        lambda member: member.delete(),
        lambda member: Membership.objects.all().delete(),
        lambda member: member.user.delete(),
        lambda member: grant(
            tenant=member.tenant, user=member.user, role=Role.ADMIN, by=Role.OWNER
        ),
        lambda member: demote(Membership.objects.get(pk=member.pk)),
    ],
)
def test_the_last_owner_stays(northside, make_member, leave):
    make_member("gaston", (northside, "owner"))
    make_member("prunelle", (northside, "admin"))
    member = Membership.objects.get(role="owner")

    with pytest.raises(LastOwner), transaction.atomic():
        leave(member)

    assert Membership.objects.filter(role="owner").count() == 1


def test_all_owners_at_once_cannot_leave_either(northside, make_member):
    for name in ("gaston", "prunelle"):
        make_member(name, (northside, "owner"))

    with pytest.raises(LastOwner), transaction.atomic():
        Membership.objects.all().delete()

    assert Membership.objects.count() == 2


def test_a_tenant_takes_its_memberships_with_it(northside, make_member):
    make_member("gaston", (northside, "owner"))

    northside.delete()

    assert Membership.objects.count() == 0


def test_roles_do_not_change_in_bulk(northside, make_member):
    make_member("gaston", (northside, "owner"))
    member = Membership.objects.get()

    with pytest.raises(TenantForbidden):
        Membership.objects.update(role="viewer")
    with pytest.raises(TenantForbidden):
        Membership.objects.bulk_update([member], ["role"])


@pytest.mark.parametrize("values", [{"role": "janitor"}, {"role": ""}])
def test_the_database_knows_the_roles(northside, make_member, values):
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.bulk_create(
            [Membership(tenant=northside, user=make_member("spip"), **values)]
        )


@pytest.mark.parametrize("values", [{"key": ""}, {"name": ""}, {"timezone": ""}])
def test_the_database_wants_names(values):
    with pytest.raises(IntegrityError), transaction.atomic():
        Tenant.objects.create(**{"key": "k", "name": "n", **values})


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_leave_at_the_same_time_leave_one(northside, make_member):
    members = []
    for name in ("gaston", "prunelle"):
        user = make_member(name, (northside, "owner"))
        members.append(Membership.objects.get(user=user))
    start, refused = threading.Barrier(2), []

    def leave(member):
        start.wait(30)
        try:
            member.delete()
        except LastOwner:
            refused.append(member.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=leave, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert [one.pk for one in Membership.objects.all()] == refused
