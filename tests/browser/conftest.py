"""Chromium, and a database that a server in another thread works in too.

``CLAIMKIT_CHROMIUM`` names the browser; without one nothing here runs, and pytest says so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from claimkit_django.audit.checks import APPEND_ONLY
from claimkit_django.migrations_kit.append_only import allow_changes, refuse_changes

_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("CLAIMKIT_CHROMIUM") or shutil.which("chromium")
    if not found:
        pytest.skip("no Chromium: install one, or name it in CLAIMKIT_CHROMIUM")
    # The driver of the browser runs an event loop in this thread; the tests use no other.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=_FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def violations():
    """Return what is wrong with a page by axe, and whether it is wider than its screen."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is missing")
    script = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")

    def look(page):
        found = page.evaluate(f"{script}; axe.run().then((found) => found.violations)")
        wrong = [(one["id"], one["nodes"][0]["target"]) for one in found]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(("is wider than the screen", ""))
        return wrong

    return look


@pytest.fixture(autouse=True)
def _trail_can_be_emptied(transactional_db):
    """Let the test runner empty the append-only tables, for which SQLite knows nothing but DELETE."""
    refuse_changes(APPEND_ONLY, "default")
    yield
    allow_changes(APPEND_ONLY, "default")
