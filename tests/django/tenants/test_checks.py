from __future__ import annotations

import pytest
from django.core.checks import Error, Warning, run_checks
from django.db import models
from django.test.utils import isolate_apps

from claimkit_django.tenants.checks import (
    check_middleware,
    check_models,
    check_setting,
    check_sqlite,
    check_tenant_model,
    check_time_zones,
)
from claimkit_django.tenants.models import Tenant, TenantModel


@pytest.mark.django_db
def test_our_own_models_and_settings_pass():
    # Django 6.1 asks the database for what it supports.
    assert check_models() == []
    assert [one for one in run_checks() if one.id and one.id.startswith("claimkit")] == []


def test_an_unknown_key_is_named_with_the_nearest(settings):
    settings.CLAIMKIT = {"DRIFT": {"BUDGTE": 1}}

    assert check_setting() == [
        Error(
            "The setting CLAIMKIT is not usable: "
            "unknown setting DRIFT['BUDGTE']; did you mean 'budget'?.",
            hint="See the reference of settings for the rooms and their keys.",
            id="claimkit_tenants.E001",
        )
    ]


def test_the_setting_must_be_a_dict(settings):
    settings.CLAIMKIT = ["DRIFT"]

    assert [one.id for one in check_setting()] == ["claimkit_tenants.E001"]


def test_time_zones_must_be_on(settings):
    settings.USE_TZ = False

    assert check_time_zones() == [
        Error(
            "claimkit needs aware datetimes.",
            hint="Set USE_TZ = True.",
            id="claimkit_tenants.E002",
        )
    ]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (["authentication", "tenant"], []),
        (["authentication"], []),
        ([], []),
        (["tenant", "authentication"], ["claimkit_tenants.E003"]),
        (["tenant"], ["claimkit_tenants.E003"]),
    ],
)
def test_the_middleware_stands_after_authentication(settings, order, found):
    names = {
        "authentication": "django.contrib.auth.middleware.AuthenticationMiddleware",
        "tenant": "claimkit_django.tenants.middleware.TenantMiddleware",
    }
    settings.MIDDLEWARE = [names[one] for one in order]

    assert [one.id for one in check_middleware()] == found


@isolate_apps("claimkit_django.tenants", "claimkit_django.claims")
def test_a_unique_key_without_the_tenant_is_an_oracle():
    class Authorization(TenantModel):
        number = models.CharField(max_length=40, unique=True)
        code = models.CharField(max_length=40)

        class Meta(TenantModel.Meta):
            app_label = "claimkit_claims"
            constraints = [
                models.UniqueConstraint(fields=["code"], name="one"),
                models.UniqueConstraint(fields=["tenant", "code"], name="two"),
            ]
            unique_together = [("code", "number")]

    assert [(one.id, one.obj) for one in check_tenant_model(Authorization)] == [
        ("claimkit_tenants.E004", Authorization)
    ] * 3


@isolate_apps("claimkit_django.tenants", "claimkit_django.claims")
def test_a_model_that_lost_its_scope_is_found():
    class Note(TenantModel):
        objects = models.Manager()

        class Meta:
            app_label = "claimkit_claims"

    assert [one.id for one in check_tenant_model(Note)] == ["claimkit_tenants.E005"]


@isolate_apps("claimkit_django.tenants", "claimkit_django.claims")
def test_a_table_between_two_models_needs_a_tenant():
    class Tag(TenantModel):
        others = models.ManyToManyField("self")

        class Meta(TenantModel.Meta):
            app_label = "claimkit_claims"

    assert [one.id for one in check_tenant_model(Tag)] == ["claimkit_tenants.E006"]


def test_sqlite_must_begin_transactions_as_a_writer(settings, monkeypatch):
    engine = "django.db.backends.sqlite3"
    for alias, entry in {
        "ready": {"ENGINE": engine, "OPTIONS": {"transaction_mode": "IMMEDIATE"}},
        "other": {"ENGINE": engine},
        "server": {"ENGINE": "django.db.backends.postgresql"},
    }.items():
        monkeypatch.setitem(settings.DATABASES, alias, entry)

    assert check_sqlite(databases=["ready", "other", "server"]) == [
        Warning(
            "Transactions on the SQLite database 'other' may fail when they first write.",
            hint='Set OPTIONS["transaction_mode"] = "IMMEDIATE".',
            id="claimkit_tenants.W001",
        )
    ]
    assert check_sqlite() == []


def test_a_time_zone_that_nobody_knows_is_refused():
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError) as caught:
        Tenant(key="k", name="n", timezone="Mars/Olympus").full_clean(validate_constraints=False)

    assert [one.code for one in caught.value.error_dict["timezone"]] == ["timezone_unknown"]
