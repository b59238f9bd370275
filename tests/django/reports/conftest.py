"""A tenant with something to report, and storage that is thrown away."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.files.storage import default_storage

from tests.reporting import fill


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    """Return a function that lists what is stored."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        },
    }

    def stored():
        return sorted(
            str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()
        )

    assert Path(default_storage.location) == tmp_path
    return stored


@pytest.fixture(autouse=True)
def in_april(monkeypatch):
    """Let the periods that reports are made of be over."""
    clock = SimpleNamespace(now=lambda: dt.datetime(2026, 4, 20, 9, tzinfo=dt.UTC))
    monkeypatch.setattr("claimkit_django.reports.runs.SystemClock", lambda: clock)


@pytest.fixture
def clinic(northside):
    """Return a tenant with a finding in March."""
    fill(northside)
    return northside
