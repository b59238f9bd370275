"""Asks the running example through the client generated from its OpenAPI document, as one role.

Run by ``test_site.py`` beside the package ``hospital`` that the generator wrote, with an address, a
token, and the uids that another tenant's members see. Prints what each operation answered, as JSON:
``lists`` and ``reads`` by operation, ``others`` for the ids of the other tenant, ``changes``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys

import hospital.api
from hospital import AuthenticatedClient
from hospital.api.reports import reports_schedules_create, reports_schedules_destroy
from hospital.api.templates import templates_create, templates_destroy
from hospital.models import (
    CsvTemplateRequest,
    CsvTemplateRequestColumns,
    ScheduleKindEnum,
    ScheduleRequest,
)

#: Operation, what it is sent, and what takes it back.
CHANGES = [
    (
        templates_create,
        CsvTemplateRequest(
            name="Of a client",
            header=["Acct", "Plan Nm", "Svc Dt", "Tot Chg", "Pd", "Pd Dt"],
            columns=CsvTemplateRequestColumns.from_dict(
                {
                    "Acct": "claim_id",
                    "Plan Nm": "payer_name",
                    "Svc Dt": "service_date",
                    "Tot Chg": "billed",
                    "Pd": "paid",
                    "Pd Dt": "paid_date",
                }
            ),
        ),
        templates_destroy,
    ),
    (
        reports_schedules_create,
        ScheduleRequest(kind=ScheduleKindEnum.QUARTERLY, formats=["html"]),
        reports_schedules_destroy,
    ),
]


def operations():
    """Yield the name of each operation that reads, its module and the ids that it asks for."""
    for tag in pkgutil.iter_modules(hospital.api.__path__):
        package = importlib.import_module(f"hospital.api.{tag.name}")
        for one in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{one.name}")
            takes = inspect.signature(module._get_kwargs).parameters.values()
            asked = [each for each in takes if each.default is each.empty]
            ids = [each.name for each in asked if each.kind is not each.KEYWORD_ONLY]
            if ids == [each.name for each in asked] and _is_read(module, ids):
                yield one.name, module, ids


def _is_read(module, ids):
    return module._get_kwargs(*["x"] * len(ids))["method"] == "get"


def told(answer):
    """Return the status, and the code of the problem where it is one."""
    return [int(answer.status_code), getattr(answer.parsed, "code", "")]


def main(address, token, theirs):
    client = AuthenticatedClient(base_url=address, token=token, raise_on_unexpected_status=True)
    found = {"lists": {}, "reads": {}, "others": {}, "rows": {}}
    reading = list(operations())
    for name, module, ids in reading:
        if not ids:
            answer = module.sync_detailed(client=client)
            found["lists"][name] = told(answer)
            rows = getattr(answer.parsed, "results", None) or []
            found["rows"][name] = [one.uid for one in rows if hasattr(one, "uid")]
    for name, module, ids in reading:
        if ids == ["uid"]:
            mine = found["rows"].get(name.replace("_retrieve", "_list"), [])
            for uid in mine[:1]:
                found["reads"][name] = told(module.sync_detailed(uid, client=client))
            for uid in theirs.get(name.replace("_retrieve", "_list"), [])[:1]:
                found["others"][name] = told(module.sync_detailed(uid, client=client))
    found["changes"] = {
        create.__name__.split(".")[-1]: change(create, body, destroy, client)
        for create, body, destroy in CHANGES
    }
    print(json.dumps(found))


def change(create, body, destroy, client):
    """Make something and take it back; return what was told, of the second where there was one."""
    made = create.sync_detailed(client=client, body=body)
    if made.status_code != 201:
        return told(made)
    return told(destroy.sync_detailed(made.parsed.uid, client=client))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
