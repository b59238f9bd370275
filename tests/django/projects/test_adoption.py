"""Each way of adopting claimkit boots, has no missing migration, and migrates, without a warning."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: What a site without the extras does not have.
EXTRAS = ("celery", "kombu", "rest_framework", "drf_spectacular", "django_filters", "psycopg")
BLOCKED = f"""
import sys, warnings
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""
SCRIPT = """
import django
django.setup()
from django.core.management import call_command
call_command("check", fail_level="WARNING", databases=["default"])
call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
call_command("migrate", verbosity=0)
call_command("claimkit_tenant", "create", "northside")
call_command("claimkit_import", {export!r}, tenant="northside")
call_command("claimkit_watch", all=True)
from claimkit_django.claims.models import Upload
print(Upload.unscoped.get().status)
"""
EXPORT = (
    "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n"
    "A1,Meridian Health,99213,2026-01-05,2026-01-06,2026-01-12,paid,120.00,100.00,80.00\n"
)


@pytest.mark.parametrize(
    ("project", "blocked"),
    [("bare", True), ("core_rooms", False), ("everything", False)],
)
def test_a_site_boots_migrates_and_works(tmp_path, project, blocked):
    export = tmp_path / "export.csv"
    export.write_text(EXPORT)
    script = (BLOCKED if blocked else "") + SCRIPT.format(export=str(export))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": f"tests.projects.{project}",
            "CLAIMKIT_TEST_DATABASE": "sqlite",
            "CLAIMKIT_TEST_NAME": str(tmp_path / "site.sqlite3"),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "1 claims, 1 lines, charged 120.00, paid 80.00, 0 rejected; 1 new" in done.stdout
    assert done.stdout.splitlines()[-1] == "success"


def test_importing_our_apps_changes_nothing():
    """Nothing happens on import: no settings are read, no plugin is loaded, no query runs."""
    script = (
        "import claimkit_django.conf, claimkit_django.signals, claimkit_django.uids; "
        "from django.conf import settings; assert not settings.configured"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=ROOT, check=True, timeout=60)
