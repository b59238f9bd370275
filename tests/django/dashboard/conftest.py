"""People with a browser, and tenants in which something changed."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from claimkit.drift.findings import FindingState
from claimkit.testing.factories import make_evidence, make_finding
from claimkit_django.drift.models import Finding
from claimkit_django.drift.rows import write_finding
from claimkit_django.tenants.scope import enter


@pytest.fixture
def browse(make_member):
    """Sign a member of a tenant in, and return their browser."""

    def start(tenant, role="analyst", **values):
        browser = Client(**values)
        browser.force_login(make_member(f"{tenant.key}-{role}", (tenant, role)))
        return browser

    return start


@pytest.fixture
def find():
    """Make a finding of a tenant."""

    def make(tenant, state=FindingState.OPEN, **values):
        values.setdefault("evidence", make_evidence())
        with enter(tenant):
            row = write_finding(Finding(), make_finding(**values), state)
            row.save()
        return row

    return make


@pytest.fixture
def text_of():
    """Return what a page says, without its markup and with single blanks."""

    def read(answer):
        body = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", answer.content.decode(), flags=re.S)
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))

    return read
