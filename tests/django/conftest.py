"""Two tenants that must never meet, and people of each role."""

from __future__ import annotations

import datetime as dt
import socket
import sys

import pytest
from django.db import connection

from claimkit.tenants import Role
from claimkit_django.audit.checks import APPEND_ONLY
from claimkit_django.claims.models import Upload
from claimkit_django.migrations_kit.append_only import allow_changes, refuse_changes
from claimkit_django.tenants import changes
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.policies import disable, enable
from claimkit_django.tenants.scope import enter
from tests.mailboxes import Mailbox
from tests.projects.database import APP_ROLE, ROW_LEVEL_SECURITY

_APP_RIGHTS = f"""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
            CREATE ROLE {APP_ROLE} LOGIN;
        END IF;
    END $$;
    GRANT USAGE ON SCHEMA public TO {APP_ROLE};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_ROLE};
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE};
    -- For tests only, which empty their tables.
    GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {APP_ROLE};
    -- Tests that migrate down and up make tables anew.
    ALTER DEFAULT PRIVILEGES IN SCHEMA public
        GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO {APP_ROLE};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP_ROLE};
"""


def _make_app_role():
    with connection.cursor() as cursor:
        # Two workers of xdist may make the role at the same time.
        cursor.execute("SELECT pg_advisory_lock(42)")
        cursor.execute(_APP_RIGHTS)
        cursor.execute("SELECT pg_advisory_unlock(42)")


def _work_as(role):
    options = connection.settings_dict["OPTIONS"]
    options.pop("assume_role", None)
    if role:
        options["assume_role"] = role
    connection.close()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Work as the application's role where row-level security is tried."""
    if not ROW_LEVEL_SECURITY:
        yield
        return
    with django_db_blocker.unblock():
        _make_app_role()
        _work_as(APP_ROLE)
        yield
        _work_as(None)


@pytest.fixture
def second_wall(transactional_db, settings):
    """Put policies in force, and work as a role that owns nothing; PostgreSQL only."""
    if connection.vendor != "postgresql":
        pytest.skip("row-level security is PostgreSQL's")
    if ROW_LEVEL_SECURITY:
        yield
        return
    settings.CLAIMKIT = {"TENANTS": {"ROW_LEVEL_SECURITY": True}}
    _make_app_role()
    enable("default")
    _work_as(APP_ROLE)
    yield
    _work_as(None)
    connection.execute_wrappers.clear()
    disable("default")


@pytest.fixture
def folding():
    """For tests in which every 64th change folds those before it."""


@pytest.fixture(autouse=True)
def _no_folding(request, monkeypatch):
    """Elsewhere fold nothing: which change is the 64th depends on the tests that ran before."""
    if "folding" not in request.fixturenames:
        monkeypatch.setattr(changes, "_FOLD", sys.maxsize)


@pytest.fixture(autouse=True)
def _trail_can_be_emptied(request):
    """Let the test runner empty the append-only tables of SQLite, where it knows nothing but DELETE."""
    marker = request.node.get_closest_marker("django_db")
    empties = "transactional_db" in request.fixturenames or (
        marker is not None and marker.kwargs.get("transaction")
    )
    if not empties or connection.vendor != "sqlite":
        yield
        return
    request.getfixturevalue("transactional_db")
    tables = (*APPEND_ONLY, "claimkit_automation_execution")
    refuse_changes(tables, "default")
    yield
    allow_changes(tables, "default")


@pytest.fixture
def northside(db):
    return Tenant.objects.create(key="northside", name="Northside Hospital")


@pytest.fixture
def lakeview(db):
    return Tenant.objects.create(key="lakeview", name="Lakeview Clinic", timezone="America/Chicago")


@pytest.fixture
def make_upload():
    def make(tenant, **values):
        with enter(tenant):
            return Upload.objects.create(
                **{"name": "era_0412.835", "known_on": dt.date(2026, 4, 12), **values}
            )

    return make


@pytest.fixture
def make_member(django_user_model):
    def make(username, *memberships, **values):
        user = django_user_model.objects.create_user(
            username=username, password="marsupilami", **values
        )
        for tenant, role in memberships:
            tenant.memberships.create(user=user, role=Role(role).value)
        return user

    return make


@pytest.fixture
def mail_through(settings):
    """Send mail to this port of this machine."""

    def use(port):
        backend = "django.core.mail.backends.smtp.EmailBackend"
        options = {"host": "127.0.0.1", "port": port, "timeout": 5}
        if hasattr(settings, "MAILERS"):
            settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
            return
        settings.EMAIL_BACKEND = backend
        for name, value in options.items():
            setattr(settings, f"EMAIL_{name.upper()}", value)

    return use


@pytest.fixture
def mailbox(mail_through):
    controllers = pytest.importorskip("aiosmtpd.controller")
    made = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = controllers.Controller(made, hostname="127.0.0.1", port=port)
    controller.start()
    mail_through(port)
    yield made
    controller.stop()
