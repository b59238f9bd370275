from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace

import pytest
from django.core.checks import ERROR, WARNING

from claimkit.errors import PluginBroken
from claimkit_django import runtime
from claimkit_django.claims import checks


def test_usual_settings_pass(settings):
    settings.CLAIMKIT = {"CLAIMS": {"PATIENT_KEY": "mR5xqv-Zl0aT8cUeWk2nYp7HsJ4dGf9B"}}

    assert checks.check_plugins() == []
    assert checks.check_limits() == []
    assert checks.check_patient_key() == []


def test_a_broken_plugin_is_named(monkeypatch):
    def broken():
        raise PluginBroken("plugin 'x12' of claimkit-x12 0.1.0 failed to load")

    monkeypatch.setattr(checks, "plugins", broken)

    (found,) = checks.check_plugins()

    assert found.id == "claimkit_claims.E001"
    assert "claimkit-x12 0.1.0" in found.msg
    assert found.hint == "Upgrade or uninstall it, or block it by name with disabled=[...]"


def test_a_broken_plugin_does_not_take_the_site_down(settings, monkeypatch, caplog):
    def load():
        raise ImportError("no module named palombia")

    dist = SimpleNamespace(name="claimkit-jungle", version="1.2", requires=None)
    entry = SimpleNamespace(name="jungle", load=load, dist=dist)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    settings.CLAIMKIT = {}

    assert "csv" in runtime.plugins().readers
    (found,) = checks.check_plugins()
    assert (found.id, found.level) == ("claimkit_claims.W002", WARNING)
    assert "claimkit-jungle 1.2" in found.msg
    (record,) = [one for one in caplog.records if one.message == "plugin left out"]
    assert (record.plugin, record.reason) == ("jungle", "plugin_broken")

    settings.CLAIMKIT = {"PLUGINS": {"REQUIRED": ["jungle"]}}
    (found,) = checks.check_plugins()
    assert (found.id, found.level) == ("claimkit_claims.E001", ERROR)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("BATCH_SIZE", 0),
        ("MAX_PROBLEMS", 0),
        ("MAX_PROBLEM_SHARE", 0.0),
        ("MAX_PROBLEM_SHARE", 2.0),
    ],
)
def test_numbers_that_no_import_can_work_with_are_named(settings, setting, value):
    settings.CLAIMKIT = {"CLAIMS": {setting: value}}

    (found,) = checks.check_limits()

    assert found.id == "claimkit_claims.E002"
    assert f"CLAIMKIT['CLAIMS']['{setting}']" in found.msg
    assert found.hint


def test_tokens_that_hang_on_the_secret_key_are_a_warning_on_deployment():
    (found,) = checks.check_patient_key()

    assert found.id == "claimkit_claims.W001"
    assert "PATIENT_KEY" in found.hint


@pytest.mark.parametrize("key", ["marsupilami", "houba" * 10, "only-for-tests"])
def test_a_patient_key_that_can_be_guessed_is_a_warning_and_never_repeated(settings, key):
    settings.SECRET_KEY = "only-for-tests"
    settings.CLAIMKIT = {"CLAIMS": {"PATIENT_KEY": key}}

    (found,) = checks.check_patient_key()

    assert found.id == "claimkit_claims.W003"
    assert key not in f"{found.msg}{found.hint}"


def test_an_unusable_setting_is_told_once_and_elsewhere(settings):
    settings.CLAIMKIT = {"NOPE": {}}

    assert checks.check_plugins() == checks.check_limits() == checks.check_patient_key() == []
