"""The OpenAPI document: complete, valid, and true."""

from __future__ import annotations

import re

import jsonschema
import pytest
from django.core.management import call_command
from django.urls import include, path

from claimkit.webhooks.signing import HOP, ID, SIGNATURE, TIMESTAMP
from claimkit_django.rest.schema import SETTINGS, TAGS
from claimkit_django.runtime import plugins

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

urlpatterns = [
    path("", include("claimkit_django.urls")),
    path("hosts/own/", lambda request: None),
]

PATHS = {
    "/api/v1/reports/": {"get", "post"},
    "/api/v1/reports/{uid}/": {"get"},
    "/api/v1/reports/{uid}/files/{renderer}/": {"get"},
    "/api/v1/reports/{uid}/numbers/": {"get"},
    "/api/v1/reports/{uid}/numbers/{number}/": {"get"},
    "/api/v1/reports/schedules/": {"get", "post"},
    "/api/v1/reports/schedules/{uid}/": {"get", "patch", "delete"},
    "/api/v1/exports/": {"get", "post"},
    "/api/v1/exports/sources/": {"get"},
    "/api/v1/exports/{uid}/": {"get"},
    "/api/v1/exports/{uid}/file/": {"get"},
    "/api/v1/alerts/": {"get"},
    "/api/v1/alerts/{uid}/": {"get"},
    "/api/v1/alerts/{uid}/acknowledge/": {"post"},
    "/api/v1/alerts/{uid}/assign/": {"post"},
    "/api/v1/alerts/{uid}/comment/": {"post"},
    "/api/v1/alerts/{uid}/judge/": {"post"},
    "/api/v1/alerts/{uid}/resolve/": {"post"},
    "/api/v1/alerts/recoveries/": {"get"},
    "/api/v1/alerts/channels/": {"get", "post"},
    "/api/v1/alerts/channels/{uid}/": {"get", "patch", "delete"},
    "/api/v1/alerts/channels/{uid}/test/": {"post"},
    "/api/v1/alerts/routes/": {"get", "post"},
    "/api/v1/alerts/routes/{uid}/": {"get", "put", "patch", "delete"},
    "/api/v1/alerts/rules/": {"get", "post"},
    "/api/v1/alerts/rules/preview/": {"post"},
    "/api/v1/alerts/rules/{uid}/": {"get", "put", "patch", "delete"},
    "/api/v1/alerts/digests/": {"get", "post"},
    "/api/v1/alerts/digests/{uid}/": {"get", "put", "patch", "delete"},
    "/api/v1/alerts/silences/": {"get", "post"},
    "/api/v1/alerts/silences/{uid}/": {"get"},
    "/api/v1/alerts/silences/{uid}/end/": {"post"},
    "/api/v1/audit/": {"get"},
    "/api/v1/audit/{uid}/": {"get"},
    "/api/v1/automation/rules/": {"get", "post"},
    "/api/v1/automation/rules/preview/": {"post"},
    "/api/v1/automation/rules/{uid}/": {"get", "put", "patch", "delete"},
    "/api/v1/automation/executions/": {"get"},
    "/api/v1/automation/executions/{uid}/": {"get"},
    "/api/v1/automation/approvals/": {"get"},
    "/api/v1/automation/approvals/{uid}/": {"get"},
    "/api/v1/automation/approvals/{uid}/approve/": {"post"},
    "/api/v1/automation/approvals/{uid}/reject/": {"post"},
    "/api/v1/automation/work/": {"get"},
    "/api/v1/automation/work/{uid}/": {"get"},
    "/api/v1/automation/work/{uid}/done/": {"post"},
    "/api/v1/authorizations/": {"get", "post"},
    "/api/v1/authorizations/{uid}/": {"get", "patch"},
    "/api/v1/authorizations/{uid}/renew/": {"post"},
    "/api/v1/authorizations/calendar/": {"get"},
    "/api/v1/authorizations/imports/": {"get", "post"},
    "/api/v1/authorizations/imports/{uid}/": {"get"},
    "/api/v1/authorizations/lead-times/": {"get", "post"},
    "/api/v1/authorizations/lead-times/{uid}/": {"get", "put", "patch", "delete"},
    "/api/v1/webhooks/endpoints/": {"get", "post"},
    "/api/v1/webhooks/endpoints/{uid}/": {"get", "patch"},
    "/api/v1/webhooks/endpoints/{uid}/rotate-key/": {"post"},
    "/api/v1/webhooks/endpoints/{uid}/enable/": {"post"},
    "/api/v1/webhooks/endpoints/{uid}/confirm/": {"post"},
    "/api/v1/webhooks/endpoints/{uid}/disable/": {"post"},
    "/api/v1/webhooks/endpoints/{uid}/ping/": {"post"},
    "/api/v1/webhooks/endpoints/{uid}/replay/": {"post"},
    "/api/v1/webhooks/deliveries/": {"get"},
    "/api/v1/webhooks/deliveries/{uid}/": {"get"},
    "/api/v1/webhooks/deliveries/{uid}/replay/": {"post"},
    "/api/v1/webhooks/event-types/": {"get"},
    "/api/v1/": {"get"},
    "/api/v1/problems/{code}/": {"get"},
    "/api/v1/tenants/": {"get"},
    "/api/v1/tenants/{key}/": {"get", "patch"},
    "/api/v1/memberships/": {"get", "post"},
    "/api/v1/memberships/{user}/": {"get", "patch", "delete"},
    "/api/v1/dashboard/": {"get"},
    "/api/v1/tokens/": {"get", "post"},
    "/api/v1/tokens/{uid}/": {"get", "delete"},
    "/api/v1/runs/": {"get", "post"},
    "/api/v1/runs/{uid}/": {"get"},
    "/api/v1/uploads/": {"get", "post"},
    "/api/v1/uploads/{uid}/": {"get"},
    "/api/v1/uploads/{uid}/repair/": {"get"},
    "/api/v1/uploads/{uid}/release/": {"post"},
    "/api/v1/mappings/": {"get", "post"},
    "/api/v1/mappings/preview/": {"post"},
    "/api/v1/mappings/suggestions/": {"get"},
    "/api/v1/mappings/{uid}/": {"get"},
    "/api/v1/mappings/{uid}/restore/": {"post"},
    "/api/v1/templates/": {"get", "post"},
    "/api/v1/templates/{uid}/": {"get", "put", "patch", "delete"},
    "/api/v1/automation/approvals/answers/": {"get"},
    "/api/v1/automation/work/{uid}/packet/{renderer}/": {"get"},
    "/api/v1/intake/fhir/": {"post"},
    "/api/v1/intake/fhir/signed/{tenant}/{sender}/": {"post"},
    "/api/v1/intake/fhir/{uid}/": {"get"},
    "/api/v1/claims/": {"get"},
    "/api/v1/claims/{uid}/": {"get"},
    "/api/v1/claims/payer-summary/": {"get"},
    "/api/v1/findings/": {"get"},
    "/api/v1/findings/{uid}/": {"get"},
    "/api/v1/findings/{uid}/accept/": {"post"},
    "/api/v1/drift/active/": {"get"},
    "/api/v1/drift/settings/": {"get", "put"},
    "/api/v1/drift/payers/": {"get"},
    "/api/v1/drift/contracts/": {"get", "post"},
    "/api/v1/drift/backtests/": {"get", "post"},
    "/api/v1/drift/backtests/{uid}/": {"get"},
    "/api/v1/drift/risk/": {"post"},
    "/api/v1/drift/risk/calibration/": {"get"},
}


@pytest.fixture
def schema(client):
    answer = client.get("/api/v1/schema/", headers={"accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    return answer.json()


def operations(schema):
    for where, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {where}", operation


def test_every_address_is_described(schema):
    assert {where: set(methods) for where, methods in schema["paths"].items()} == PATHS
    assert schema["openapi"].startswith("3.1")


def test_every_operation_has_a_known_tag_a_summary_and_an_example(schema):
    for name, operation in operations(schema):
        assert set(operation["tags"]) <= set(TAGS), name
        assert operation["summary"], name
        (status,) = (one for one in operation["responses"] if one.startswith("2"))
        contents = operation["responses"][status].get("content", {}).values()
        assert status == "204" or all(content.get("examples") for content in contents), name


def test_every_operation_answers_errors_with_the_one_problem(schema):
    reference = {"$ref": "#/components/schemas/Problem"}
    for name, operation in operations(schema):
        errors = {s: r for s, r in operation["responses"].items() if s >= "4"}
        assert {"400", "500"} <= set(errors), name
        for response in errors.values():
            assert response["content"]["application/problem+json"]["schema"] == reference, name


def test_every_example_is_valid(schema):
    for name, operation in operations(schema):
        for response in operation["responses"].values():
            for media, content in response.get("content", {}).items():
                for example in content.get("examples", {}).values():
                    if "json" in media:
                        whole = {**content["schema"], "components": schema["components"]}
                        jsonschema.validate(example["value"], whole), name


def test_every_event_type_is_a_webhook_with_examples(schema):
    jsonschema.Draft202012Validator.check_schema(schema["components"])
    assert schema["webhooks"].keys() == plugins().event_types.keys()
    for name, item in schema["webhooks"].items():
        operation = item["post"]
        content = operation["requestBody"]["content"]["application/json"]
        assert {one["name"] for one in operation["parameters"]} == {
            *(ID, TIMESTAMP, SIGNATURE, HOP)
        }, name
        assert content["examples"], name
        for example in content["examples"].values():
            jsonschema.validate(example["value"], content["schema"])


def test_every_documented_parameter_is_known_to_its_view(schema, world):
    """Sent empty, a known parameter may be refused for its value, never as unknown."""
    client = world.north.client()
    for name, operation in operations(schema):
        where = re.sub(r"\{.*?\}", "not_found", name.partition(" ")[2])
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                answer = client.get(where, {parameter["name"]: ""})
                assert b"unknown_parameter" not in answer.content, (name, parameter["name"])


def test_the_command_has_no_warning(settings, tmp_path):
    settings.ROOT_URLCONF = __name__
    out = tmp_path / "schema.yml"
    call_command(
        "spectacular",
        "--validate",
        "--fail-on-warn",
        "--custom-settings",
        f"{__name__}.COMMAND_SETTINGS",
        "--file",
        str(out),
    )

    told = out.read_text()
    assert "/api/v1/drift/active/" in told
    assert "webhook_drift_detected" in told


COMMAND_SETTINGS = {
    **{name: one for name, one in SETTINGS.items() if not name.startswith("SERVE_")},
    "POSTPROCESSING_HOOKS": [
        *SETTINGS["POSTPROCESSING_HOOKS"],
        "claimkit_django.webhooks.schema.describe_webhooks",
    ],
}


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_pages_load_nothing_from_elsewhere(client, page):
    answer = client.get(f"/api/v1/{page}/")
    body = answer.content.decode()

    assert answer.status_code == 200
    assert not re.findall(r"(?:https?:)?//[a-z]", body)
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "http" not in answer["Content-Security-Policy"]
    assert "/api/v1/schema/" in body.replace("\\u002D", "-").replace("\\u002F", "/")


def test_lists_and_numbers_are_as_strict_as_they_are_read(schema):
    schemas = schema["components"]["schemas"]
    request, answer = (schemas[one]["properties"] for one in ("DigestRequest", "Digest"))

    assert request["channels"]["minItems"] == 1
    assert "minItems" not in answer["channels"]
    decimals = [
        field["pattern"]
        for schema in schemas.values()
        for field in schema.get("properties", {}).values()
        if field.get("format") == "decimal" and "pattern" in field
    ]
    assert decimals
    assert not [one for one in decimals if re.fullmatch(one, "")]


def test_bodies_that_no_form_can_write_are_json_only(schema):
    bodies = {
        name: set(operation["requestBody"]["content"])
        for name, operation in operations(schema)
        if "requestBody" in operation
    }

    # A list that is empty is no field at all, and an object none of one name.
    assert bodies["POST /api/v1/webhooks/endpoints/"] == {"application/json"}
    assert bodies["PUT /api/v1/alerts/routes/{uid}/"] == {"application/json"}
    assert bodies["POST /api/v1/uploads/"] == {"multipart/form-data"}
    assert "application/x-www-form-urlencoded" in bodies["POST /api/v1/tokens/"]


def test_a_time_of_day_says_what_it_looks_like(schema):
    told = schema["components"]["schemas"]["RouteRequest"]["properties"]["quiet_from"]

    assert re.fullmatch(told["pattern"], "22:30")
    assert not re.fullmatch(told["pattern"], "")


def test_a_form_of_text_and_the_types_of_files_are_told(schema):
    planned = schema["components"]["schemas"]["PlannedClaimRequest"]["properties"]
    assert planned["reference"]["pattern"] == r"^[A-Za-z0-9._:-]{1,64}$"
    file = schema["paths"]["/api/v1/exports/{uid}/file/"]["get"]["responses"]["200"]
    assert {"text/csv", "application/x-ndjson"} <= file["content"].keys()
