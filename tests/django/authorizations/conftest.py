"""An authorization, and claims that are made under it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.files.base import ContentFile

from claimkit.claims.payers import payer_of
from claimkit.claims.privacy import patient_token
from claimkit.types import TenantKey
from claimkit_django.authorizations.models import Authorization
from claimkit_django.claims.intake import run_import
from claimkit_django.runtime import patient_key
from claimkit_django.tenants.scope import enter

_HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid,Member ID,Units,Auth Number\n"


@pytest.fixture
def authorize():
    def make(tenant, number="A-417", member="W12345", **values):
        with enter(tenant):
            values.setdefault("payer_folded", payer_of(values.get("payer", "Aetna")))
            return Authorization.objects.create(
                **{
                    "number": number,
                    "payer": "Aetna",
                    "procedure": "97110",
                    "valid_from": dt.date(2026, 1, 1),
                    "valid_until": dt.date(2026, 4, 30),
                    "units_authorized": 24,
                    "patient_token": patient_token(member, patient_key(TenantKey(tenant.key))),
                    **values,
                }
            )

    return make


@pytest.fixture
def import_claims(make_upload):
    """Import claims of (id, day of service, and what differs), as a billing system exports them."""

    def run(tenant, *claims):
        lines = []
        for key, day, told in claims:
            cell = {
                "payer": "Aetna",
                "cpt": "97110",
                "status": "paid",
                "paid": "80.00",
                "member": "W12345",
                "units": "2",
                "auth": "",
                **told,
            }
            lines.append(
                f"{key},{cell['payer']},{cell['cpt']},{day},{day},{day},{cell['status']},120.00,"
                f"100.00,{cell['paid']},{cell['member']},{cell['units']},{cell['auth']}\n"
            )
        content = (_HEADER + "".join(lines)).encode()
        upload = make_upload(
            tenant,
            file=ContentFile(content, name="export.csv"),
            bytes_total=len(content),
            name="export.csv",
        )
        done = run_import(TenantKey(tenant.key), upload.uid)
        assert (done.status, done.rows_rejected) == ("success", 0)

    return run
