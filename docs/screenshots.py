"""Take the pictures of the documentation from the example, as it is now.

    make demo
    python example_project/manage.py runserver 127.0.0.1:8000     # in another terminal
    python docs/screenshots.py http://127.0.0.1:8000 "$(cat .demo/demo-password)"

Needs Playwright (the dependency group ``browser``) and a Chromium, which ``CLAIMKIT_CHROMIUM`` names.
Pictures are small: 128 colors, in the size of a laptop and of a telephone.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
#: Picture → page and width; None stands for the page of the first finding.
PAGES = {
    "overview": ("/dashboard/", 1100),
    "finding": (None, 1100),
    "automation": ("/dashboard/automation/", 1100),
    "telephone": ("/dashboard/alerts/", 390),
}
HEIGHT = 760


def main(site: str, password: str) -> int:
    """Sign in, and write every picture."""
    PICTURES.mkdir(exist_ok=True)
    chromium = os.environ.get("CLAIMKIT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": HEIGHT}, color_scheme="light")
        page.goto(f"{site}/login/")
        page.fill("[name=username]", "northside-admin")
        page.fill("[name=password]", password)
        page.press("[name=password]", "Enter")
        page.wait_for_url(re.compile("/dashboard/"))
        for name, (path, width) in PAGES.items():
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.goto(f"{site}{path or _first_finding(page, site)}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=PICTURES / f"{name}.png")
            _shrink(PICTURES / f"{name}.png")
        browser.close()
    return 0


def _shrink(path: Path) -> None:
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(128)
    small.save(path, optimize=True)


def _first_finding(page: Page, site: str) -> str:
    page.goto(f"{site}/dashboard/findings/")
    path = page.locator("#list a[href*='/findings/']").first.get_attribute("href")
    if not path:
        raise SystemExit("there is no finding: has the demo run?")
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    raise SystemExit(main(*sys.argv[1:]))
