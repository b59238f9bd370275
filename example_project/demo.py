"""The demo: two hospitals, a year of claims each, planted drifts, found by the real pipeline.

The story: :func:`main` migrates the database, makes the hospitals with a person of every role
(:mod:`example.people`), writes a year of synthetic claims as the files that billing systems and
payers send (:mod:`example.scenario`), hands each file to the import that an upload goes through,
watches each hospital, prints what changed, writes the reports, and tells a partner's program
(:mod:`receiver`) by webhooks. Run again, it changes nothing, and says so.

    python example_project/demo.py

All that it writes is in ``.demo/``; delete the folder to start over.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

PROJECT = Path(__file__).resolve().parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit_django.claims.models import Upload
    from receiver import Receiver


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit status."""
    arguments = _parser().parse_args(argv)
    started = time.monotonic()
    _set_up_django()
    from django.conf import settings

    from example import authorizations, people, rules, scenario

    partner = _partner(settings.PARTNER_DIR, settings.PARTNER_PORT)
    for hospital in scenario.HOSPITALS:
        tenant = people.make_tenant(
            key=hospital.key, name=hospital.name, timezone=hospital.timezone
        )
        people.tell_by_mail(tenant)
        people.tell_by_webhook(tenant, port=settings.PARTNER_PORT)
        authorizations.allow(tenant)
        rules.make(tenant)
        written = scenario.write_files(hospital, scale=arguments.scale, progress=show)
        print(f"\n{hospital.name}")
        for kind, uploads in _by_kind(_import(tenant, path) for path in written.files).items():
            print(f"  {_in_words(kind, uploads)}")
        told = scenario.watch(hospital, progress=show)
        print(f"  Watched: {told.what_is_new()}\n")
        print(told.text(width=shutil.get_terminal_size().columns, color=_wants_color()))
        print(f"\n  Of what was planted, it found: {told.compared_with(written.planted)}")
        print(f"  The report with charts: {_shown(told.write_report())}")
        print(f"  Told by mail: {_in_mails()}")
        print(f"  The month to print and to forward: {_month(tenant)}")
        print(f"  Rules of automation: {rules.told(tenant)}")
        print(f"  Told a partner's program: {_in_webhooks(settings.PARTNER_DIR)}")
    if partner is not None:
        partner.shutdown()
        partner.server_close()
    _say_how_to_look(time.monotonic() - started)
    return 0


def show(step: str, done: int, total: int | None) -> None:
    """Draw a progress bar on standard error; the way every long step of claimkit tells of itself."""
    if not sys.stderr.isatty():
        return
    percent = min(100, 100 * done // total) if total else 0
    filled = percent // 5
    line = f"[{'█' * filled}{'·' * (20 - filled)}] {percent:3d} %  {step}"
    width = shutil.get_terminal_size().columns
    is_over = total is not None and done >= total
    # The bar goes when its step is over: what it led to is printed instead.
    sys.stderr.write("\r\x1b[K" if is_over else f"\r\x1b[K{line[: width - 1]}")
    sys.stderr.flush()


def _set_up_django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")
    sys.path.insert(0, str(PROJECT))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


def _import(tenant: Any, path: Path) -> Upload:
    """Import one file as an upload of the site would be."""
    from django.core.files import File
    from django.utils import timezone

    from claimkit_django.claims.intake import run_import
    from claimkit_django.claims.models import Upload
    from claimkit_django.tenants.scope import enter

    with enter(tenant), path.open("rb") as stream:
        upload = Upload.objects.create(
            file=File(stream, name=path.name),
            name=path.name,
            bytes_total=path.stat().st_size,
            source="demo",
            known_on=timezone.localdate(),
        )
    return run_import(tenant.key, upload.uid, progress=show)


def _in_mails() -> str:
    """Send what is to be told, and say how much that is."""
    from django.conf import settings
    from django.db import DEFAULT_DB_ALIAS

    from claimkit_django.alerts.notify import notify_due

    sent = notify_due(using=DEFAULT_DB_ALIAS).sent
    if not sent:
        return "nothing, because nothing is new"
    return f"{sent} mail{'' if sent == 1 else 's'}, in {_shown(settings.MAIL_DIR)}"


def _partner(folder: Path, port: int) -> Receiver | None:
    """Start the program that takes webhooks; none where one runs already."""
    from receiver import Receiver

    try:
        partner = Receiver(folder, says=lambda _line: None, port=port)
    except OSError:
        return None
    threading.Thread(target=partner.serve_forever, daemon=True).start()
    return partner


def _in_webhooks(folder: Path) -> str:
    """Send what is due, and say how much of it arrived there and was believed."""
    from claimkit_django.webhooks.tasks import deliver_due

    inbox = folder / "inbox"
    before = len(list(inbox.iterdir()))
    sent = deliver_due()
    if not sent:
        return "nothing, because nothing is new"
    arrived = len(list(inbox.iterdir())) - before
    return f"{sent} webhooks, of which it verified and kept {arrived}, in {_shown(inbox)}"


def _month(tenant: Any) -> str:
    """Make the report of the latest whole month of decisions, and say where it is."""
    from django.conf import settings

    from claimkit.reports.periods import PeriodKind, period_before, period_of
    from claimkit.types import date_of
    from claimkit_django.drift.models import CubeDecision
    from claimkit_django.reports.models import ReportFile
    from claimkit_django.reports.runs import ask_report, run_report
    from claimkit_django.tenants.scope import enter

    with enter(tenant):
        last = CubeDecision.objects.order_by("-decided_day").values_list("decided_day", flat=True)
        period = period_before(period_of(PeriodKind.MONTHLY, date_of(last[0] + 1)))
        row, _ = ask_report(period, formats=["pdf", "xlsx"], actor="demo")
        run_report(tenant.key, row.uid)
        made = ReportFile.objects.filter(run=row).values_list("file", flat=True)
        return ", ".join(_shown(settings.MEDIA_ROOT / one) for one in made)


def _by_kind(uploads: Iterable[Upload]) -> dict[str, list[Upload]]:
    kinds: dict[str, list[Upload]] = {}
    for upload in uploads:
        kinds.setdefault("/".join(sorted(upload.kinds)) or "not read", []).append(upload)
    return kinds


def _in_words(kind: str, uploads: Sequence[Upload]) -> str:
    failed = [f"{one.name}: {one.error_message}" for one in uploads if one.error_message]
    if failed:
        return "; ".join(failed)
    size = sum(one.bytes_total for one in uploads) / 1_000_000
    new = sum(one.claims_new for one in uploads)
    changed = sum(one.claims_changed for one in uploads)
    rejected = sum(one.rows_rejected for one in uploads)
    told = f"{new:,} claims new, {changed:,} changed" if new or changed else "nothing changed"
    files = f"{len(uploads)} file{'' if len(uploads) == 1 else 's'}"
    return f"{kind:5} {files}, {size:.1f} MB: {told}" + (
        f", {rejected:,} rejected" if rejected else ""
    )


def _say_how_to_look(seconds: float) -> None:
    from example import people

    python = _shown(Path(sys.executable))
    manage = _shown(PROJECT / "manage.py")
    print(f"\nDone in {seconds:.0f} seconds. To open the site:\n")
    print(f"  {python} {manage} runserver 127.0.0.1:8000")
    print(f"  {python} -m celery --workdir {_shown(PROJECT)} -A example worker --pool solo")
    print(f"  {python} {manage} claimkit_notify")
    print(f"  {python} {manage} claimkit_deliver")
    print(f"  {python} {_shown(PROJECT / 'receiver.py')}")
    print("\nall but the first in other terminals: they read the files that you upload, tell")
    print("people of alerts, send webhooks, and take them as a partner would. Then go to")
    print("http://127.0.0.1:8000/ and sign in, for the demo only, with the password")
    print(f"\n  {people.password()}\n\nas any of")
    for name, may in people.who_is_who().items():
        print(f"  {name:18} {may}")


def _shown(path: Path) -> str:
    """Return the path as one would type it here."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def _wants_color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the usual number of claims (default: 1)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
