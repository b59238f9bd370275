"""Every operation as every role, as a stranger, and against another tenant.

The operations come from the OpenAPI document, so that a new one that nobody thought about fails
here until its least role is written down.
"""

from __future__ import annotations

import re

import pytest
from django.core.cache import caches
from django.db import transaction
from django.urls import include, path
from rest_framework.test import APIClient

from claimkit.tenants import Role
from claimkit_django.tenants.models import Membership

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

urlpatterns = [path("", include("claimkit_django.urls"))]

#: Anyone at all.
PUBLIC = {"GET /", "GET /problems/{code}/"}
#: Whoever signed in; about the tenants that they belong to, not about one.
OF_PEOPLE = {"GET /tenants/", "GET /tenants/{key}/"}
#: Whoever signed the body, and nobody else.
SIGNED = {"POST /intake/fhir/signed/{tenant}/{sender}/"}
#: Operation → least role.
LEAST = {
    "POST /intake/fhir/": Role.ANALYST,
    "GET /intake/fhir/{uid}/": Role.VIEWER,
    "PATCH /tenants/{key}/": Role.ADMIN,
    "GET /memberships/": Role.ADMIN,
    "POST /memberships/": Role.ADMIN,
    "GET /memberships/{user}/": Role.ADMIN,
    "PATCH /memberships/{user}/": Role.ADMIN,
    "DELETE /memberships/{user}/": Role.ADMIN,
    "GET /tokens/": Role.VIEWER,
    "POST /tokens/": Role.VIEWER,
    "GET /tokens/{uid}/": Role.VIEWER,
    "DELETE /tokens/{uid}/": Role.VIEWER,
    "GET /uploads/": Role.VIEWER,
    "POST /uploads/": Role.ANALYST,
    "POST /uploads/{uid}/release/": Role.ANALYST,
    "GET /mappings/": Role.VIEWER,
    "POST /mappings/": Role.ANALYST,
    "GET /mappings/{uid}/": Role.VIEWER,
    "POST /mappings/{uid}/restore/": Role.ANALYST,
    "POST /mappings/preview/": Role.ANALYST,
    "GET /mappings/suggestions/": Role.VIEWER,
    "GET /templates/": Role.VIEWER,
    "POST /templates/": Role.ANALYST,
    "GET /templates/{uid}/": Role.VIEWER,
    "PUT /templates/{uid}/": Role.ANALYST,
    "PATCH /templates/{uid}/": Role.ANALYST,
    "DELETE /templates/{uid}/": Role.ANALYST,
    "GET /reports/": Role.VIEWER,
    "POST /reports/": Role.ANALYST,
    "GET /reports/{uid}/": Role.VIEWER,
    "GET /reports/{uid}/files/{renderer}/": Role.VIEWER,
    "GET /reports/{uid}/numbers/": Role.VIEWER,
    "GET /reports/{uid}/numbers/{number}/": Role.VIEWER,
    "GET /reports/schedules/": Role.VIEWER,
    "POST /reports/schedules/": Role.ADMIN,
    "GET /reports/schedules/{uid}/": Role.VIEWER,
    "PATCH /reports/schedules/{uid}/": Role.ADMIN,
    "DELETE /reports/schedules/{uid}/": Role.ADMIN,
    "GET /exports/": Role.ANALYST,
    "POST /exports/": Role.ANALYST,
    "GET /exports/sources/": Role.ANALYST,
    "GET /exports/{uid}/": Role.ANALYST,
    "GET /exports/{uid}/file/": Role.ANALYST,
    "GET /alerts/": Role.VIEWER,
    "GET /alerts/{uid}/": Role.VIEWER,
    "POST /alerts/{uid}/acknowledge/": Role.ANALYST,
    "POST /alerts/{uid}/assign/": Role.ANALYST,
    "POST /alerts/{uid}/comment/": Role.ANALYST,
    "POST /alerts/{uid}/judge/": Role.ANALYST,
    "POST /alerts/{uid}/resolve/": Role.ANALYST,
    "GET /alerts/recoveries/": Role.VIEWER,
    "GET /alerts/channels/": Role.ADMIN,
    "POST /alerts/channels/": Role.ADMIN,
    "GET /alerts/channels/{uid}/": Role.ADMIN,
    "PATCH /alerts/channels/{uid}/": Role.ADMIN,
    "DELETE /alerts/channels/{uid}/": Role.ADMIN,
    "POST /alerts/channels/{uid}/test/": Role.ADMIN,
    "GET /alerts/routes/": Role.VIEWER,
    "POST /alerts/routes/": Role.ADMIN,
    "GET /alerts/routes/{uid}/": Role.VIEWER,
    "PUT /alerts/routes/{uid}/": Role.ADMIN,
    "PATCH /alerts/routes/{uid}/": Role.ADMIN,
    "DELETE /alerts/routes/{uid}/": Role.ADMIN,
    "GET /alerts/rules/": Role.VIEWER,
    "POST /alerts/rules/": Role.ADMIN,
    "POST /alerts/rules/preview/": Role.ADMIN,
    "GET /alerts/rules/{uid}/": Role.VIEWER,
    "PUT /alerts/rules/{uid}/": Role.ADMIN,
    "PATCH /alerts/rules/{uid}/": Role.ADMIN,
    "DELETE /alerts/rules/{uid}/": Role.ADMIN,
    "GET /alerts/digests/": Role.VIEWER,
    "POST /alerts/digests/": Role.ADMIN,
    "GET /alerts/digests/{uid}/": Role.VIEWER,
    "PUT /alerts/digests/{uid}/": Role.ADMIN,
    "PATCH /alerts/digests/{uid}/": Role.ADMIN,
    "DELETE /alerts/digests/{uid}/": Role.ADMIN,
    "GET /alerts/silences/": Role.VIEWER,
    "POST /alerts/silences/": Role.ANALYST,
    "GET /alerts/silences/{uid}/": Role.VIEWER,
    "POST /alerts/silences/{uid}/end/": Role.ANALYST,
    "GET /audit/": Role.ADMIN,
    "GET /audit/{uid}/": Role.ADMIN,
    "GET /automation/rules/": Role.VIEWER,
    "POST /automation/rules/": Role.ADMIN,
    "POST /automation/rules/preview/": Role.ADMIN,
    "GET /automation/rules/{uid}/": Role.VIEWER,
    "PUT /automation/rules/{uid}/": Role.ADMIN,
    "PATCH /automation/rules/{uid}/": Role.ADMIN,
    "DELETE /automation/rules/{uid}/": Role.ADMIN,
    "GET /automation/executions/": Role.VIEWER,
    "GET /automation/executions/{uid}/": Role.VIEWER,
    "GET /automation/approvals/": Role.VIEWER,
    "GET /automation/approvals/{uid}/": Role.VIEWER,
    "POST /automation/approvals/{uid}/approve/": Role.ANALYST,
    "POST /automation/approvals/{uid}/reject/": Role.ANALYST,
    "GET /automation/work/": Role.VIEWER,
    "GET /automation/work/{uid}/": Role.VIEWER,
    "POST /automation/work/{uid}/done/": Role.ANALYST,
    "GET /authorizations/": Role.VIEWER,
    "POST /authorizations/": Role.ANALYST,
    "GET /authorizations/{uid}/": Role.VIEWER,
    "PATCH /authorizations/{uid}/": Role.ANALYST,
    "POST /authorizations/{uid}/renew/": Role.ANALYST,
    "GET /authorizations/calendar/": Role.VIEWER,
    "GET /authorizations/imports/": Role.VIEWER,
    "POST /authorizations/imports/": Role.ANALYST,
    "GET /authorizations/imports/{uid}/": Role.VIEWER,
    "GET /authorizations/lead-times/": Role.VIEWER,
    "POST /authorizations/lead-times/": Role.ANALYST,
    "GET /authorizations/lead-times/{uid}/": Role.VIEWER,
    "PUT /authorizations/lead-times/{uid}/": Role.ANALYST,
    "PATCH /authorizations/lead-times/{uid}/": Role.ANALYST,
    "DELETE /authorizations/lead-times/{uid}/": Role.ANALYST,
    "PATCH /webhooks/endpoints/{uid}/": Role.ADMIN,
    "GET /webhooks/event-types/": Role.VIEWER,
    "GET /webhooks/endpoints/": Role.ADMIN,
    "POST /webhooks/endpoints/": Role.ADMIN,
    "GET /webhooks/endpoints/{uid}/": Role.ADMIN,
    "POST /webhooks/endpoints/{uid}/confirm/": Role.ADMIN,
    "POST /webhooks/endpoints/{uid}/disable/": Role.ADMIN,
    "POST /webhooks/endpoints/{uid}/enable/": Role.ADMIN,
    "POST /webhooks/endpoints/{uid}/ping/": Role.ADMIN,
    "POST /webhooks/endpoints/{uid}/replay/": Role.ADMIN,
    "POST /webhooks/endpoints/{uid}/rotate-key/": Role.ADMIN,
    "GET /webhooks/deliveries/": Role.ADMIN,
    "GET /webhooks/deliveries/{uid}/": Role.ADMIN,
    "POST /webhooks/deliveries/{uid}/replay/": Role.ADMIN,
    "GET /uploads/{uid}/": Role.VIEWER,
    "GET /uploads/{uid}/repair/": Role.ANALYST,
    "GET /claims/": Role.VIEWER,
    "GET /claims/{uid}/": Role.VIEWER,
    "GET /claims/payer-summary/": Role.VIEWER,
    "GET /dashboard/": Role.VIEWER,
    "GET /findings/": Role.VIEWER,
    "GET /findings/{uid}/": Role.VIEWER,
    "GET /drift/active/": Role.VIEWER,
    "GET /drift/settings/": Role.VIEWER,
    "PUT /drift/settings/": Role.ADMIN,
    "GET /drift/payers/": Role.VIEWER,
    "GET /drift/contracts/": Role.VIEWER,
    "POST /drift/contracts/": Role.ADMIN,
    "GET /drift/backtests/": Role.VIEWER,
    "POST /drift/backtests/": Role.ANALYST,
    "GET /drift/backtests/{uid}/": Role.VIEWER,
    "GET /automation/approvals/answers/": Role.VIEWER,
    "GET /automation/work/{uid}/packet/{renderer}/": Role.ANALYST,
    "POST /drift/risk/": Role.ANALYST,
    "GET /drift/risk/calibration/": Role.VIEWER,
    "POST /findings/{uid}/accept/": Role.ANALYST,
    "GET /runs/": Role.VIEWER,
    "POST /runs/": Role.ANALYST,
    "GET /runs/{uid}/": Role.VIEWER,
}
#: What asks for more than its operation does: operation, body, least role.
MORE = [
    (
        "POST /webhooks/endpoints/",
        {"url": "https://hooks.example.org/", "event_types": ["*"], "detail": "full"},
        Role.OWNER,
    ),
    ("PATCH /webhooks/endpoints/{uid}/", {"detail": "full"}, Role.OWNER),
]
_ROOT = "/api/v1"


@pytest.fixture
def world(world):
    """The two tenants, with one row of each kind."""
    for house in (world.north, world.south):
        house.furnish()
    # Of somebody who is not asking: not there, in one's own tenant too.
    world.north.token = "tok_0"
    return world


@pytest.fixture
def operations(client):
    document = client.get(
        f"{_ROOT}/schema/", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()
    return {
        f"{method.upper()} {where.removeprefix(_ROOT)}"
        for where, methods in document["paths"].items()
        for method in methods
    }


def address(operation, house):
    """Return the method and the address of the operation on an object of the house."""
    method, where = operation.split()
    objects = {
        "alerts": house.alert.uid,
        "audit": house.audited.uid,
        "authorizations": house.authorization.uid,
        "imports": house.authorization_import.uid,
        "automation/rules": house.automation_rule.uid,
        "executions": house.execution.uid,
        "approvals": house.approval.uid,
        "work": house.work.uid,
        "lead-times": house.lead_time.uid,
        "channels": house.channel.uid,
        "routes": house.route.uid,
        "rules": house.rule.uid,
        "digests": house.digest.uid,
        "silences": house.silence.uid,
        "reports": house.report.uid,
        "schedules": house.schedule.uid,
        "exports": house.export.uid,
        "claims": house.claims[0].uid,
        "drift": house.backtest.uid,
        "deliveries": house.delivery.uid,
        "endpoints": house.endpoint.uid,
        "findings": house.finding.uid,
        "mappings": house.mapping.uid,
        "templates": house.template.uid,
        "memberships": f"viewer@{house.key}",
        "runs": house.run.uid,
        "tenants": house.key,
        "tokens": getattr(house, "token", ""),
        "uploads": house.upload.uid,
        "intake": house.upload.uid,
        "problems": "not_found",
    }
    first, second = (*where.split("/"), "")[1:3]
    if f"{first}/{second}" in objects:
        second = f"{first}/{second}"
    room = second if first == "webhooks" or second in objects else first
    return method.lower(), _ROOT + re.sub(
        r"\{\w+\}",
        objects.get(room, ""),
        where.replace("{renderer}", "html").replace("{number}", house.number),
    )


def status(client, operation, house, **told):
    method, where = address(operation, house)
    return getattr(client, method)(where, **told).status_code


def test_every_operation_has_its_least_role_written_down(operations):
    assert operations == PUBLIC | OF_PEOPLE | SIGNED | LEAST.keys()


def statuses(client, operations, house, **told):
    """Return operation → status, each tried on the rows as they were: making them costs most."""
    found = {}
    for operation in sorted(operations):
        caches["default"].clear()
        with transaction.atomic():
            found[operation] = status(client, operation, house, **told)
            transaction.set_rollback(True)
    return found


def other_than(found, expected):
    """Return what is not as expected, by operation: readable where it fails."""
    return {one: status for one, status in found.items() if status not in expected(one)}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_includes_it_and_nothing_else(world, role):
    def expected(operation):
        if not role.includes(LEAST[operation]):
            return {403}
        # 400, 422, 428: allowed, and then asked for more than an empty body. A token is a person's own.
        return {404} if "tokens/{uid}" in operation else {200, 201, 202, 204, 400, 422, 428}

    found = statuses(world.north.client(role), LEAST, world.north)
    assert other_than(found, expected) == {}


@pytest.mark.parametrize("role", Role)
def test_a_body_may_take_more_than_its_operation(world, role):
    client = world.north.client(role)
    for operation, body, least in MORE:
        told = {"data": body, "format": "json", "headers": {"if-match": "*"}}
        may = {200, 201} if role.includes(least) else {403}
        assert status(client, operation, world.north, **told) in may, operation


def test_a_stranger_is_not_let_in(world):
    found = statuses(APIClient(), LEAST.keys() | OF_PEOPLE, world.north)
    assert other_than(found, lambda _: {401}) == {}


def test_no_role_stands_for_a_signature(world):
    owner = world.north.client(Role.OWNER)
    assert other_than(statuses(owner, SIGNED, world.north), lambda _: {401}) == {}


def test_what_is_public_is(world):
    assert other_than(statuses(APIClient(), PUBLIC, world.north), lambda _: {200}) == {}


@pytest.mark.parametrize("chosen", ["northside", "southside"])
def test_an_object_of_another_tenant_is_not_there_even_for_owners(world, chosen):
    owner = world.north.client(Role.OWNER)
    objects = {one for one in LEAST.keys() | OF_PEOPLE if "{" in one}

    found = statuses(owner, objects, world.south, headers={"x-tenant": chosen})
    assert other_than(found, lambda _: {404}) == {}


def test_a_member_of_both_sees_each_only_where_it_is(world):
    user = world.north.people[Role.OWNER]
    Membership.objects.create(tenant=world.south.tenant, user=user, role="owner")
    client = world.north.client(Role.OWNER)
    objects = {one for one in LEAST if "{" in one}
    of_a_tenant = {one for one in objects if "tenants" not in one}

    here = statuses(client, of_a_tenant, world.south, headers={"x-tenant": "northside"})
    there = statuses(client, objects, world.south, headers={"x-tenant": "southside"})

    assert other_than(here, lambda _: {404}) == {}
    assert (
        other_than(
            there, lambda one: {404} if "tokens" in one else {200, 201, 202, 204, 400, 422, 428}
        )
        == {}
    )


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post", "trace"])
def test_methods_that_are_not_documented_are_not_there(world, operations, method):
    owner = world.north.client(Role.OWNER)
    for operation in {one for one in operations if one.startswith("GET")}:
        where = operation.removeprefix("GET")
        if f"{method.upper()}{where}" in operations:
            continue
        _, concrete = address(operation, world.north)
        answer = owner.generic(method.upper(), concrete)
        assert answer.status_code == 405, (method, operation)
        assert "GET" in answer["Allow"]
