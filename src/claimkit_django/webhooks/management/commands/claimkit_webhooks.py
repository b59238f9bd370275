"""``manage.py claimkit_webhooks``: show endpoints, try one, and send again what it missed."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from claimkit.types import TenantKey
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.enqueue import ping, replay, replay_since
from claimkit_django.webhooks.models import Delivery, Endpoint

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Acts on the endpoints of one tenant; workers (``claimkit_deliver``) send what they cause."""

    help = "Show a tenant's endpoints of webhooks, try one, and send again what it missed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts and their arguments."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        listing = acts.add_parser("list", help="show endpoints and how they fare")
        test = acts.add_parser("ping", help="send a test webhook to an endpoint")
        test.add_argument("endpoint", metavar="ENDPOINT", help="such as whe_3f8k…")
        again = acts.add_parser(
            "replay",
            help="send one delivery again, or what an endpoint missed between two instants",
        )
        again.add_argument("what", metavar="WHAT", help="a delivery, whd_…, or an endpoint, whe_…")
        again.add_argument(
            "--since",
            type=_instant,
            metavar="TIME",
            help="of an endpoint: from here on, such as 2026-04-12T09:30:00Z or 2026-04-12",
        )
        again.add_argument("--until", type=_instant, metavar="TIME", help="up to here (now)")
        again.add_argument(
            "--all", action="store_true", help="also what arrived; receivers know it by its id"
        )
        for one in (listing, test, again):
            one.add_argument("--tenant", required=True, metavar="KEY")
            one.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
            one.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked, for the tenant that was named."""
        del args
        act = {"list": self._list, "ping": self._ping, "replay": self._replay}[options["act"]]
        tenant = find_active_tenant(options["tenant"])
        with enter(tenant):
            act(TenantKey(tenant.key), options)

    def _list(self, tenant: TenantKey, options: dict[str, Any]) -> None:
        del tenant
        rows = [
            {
                "endpoint": one.uid,
                "host": one.host,
                "state": _state_of(one),
                "failures": one.failures,
                "event_types": one.event_types,
            }
            for one in Endpoint.objects.using(options["database"]).order_by("pk")
        ]
        if options["format"] == "json":
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            types = " ".join(row["event_types"])
            self.stdout.write(f"{row['endpoint']}  {row['state']}  {row['host']}  {types}")
        if not rows:
            self.stdout.write("There are no endpoints.")

    def _ping(self, tenant: TenantKey, options: dict[str, Any]) -> None:
        endpoint = _find(Endpoint, options["endpoint"], options["database"])
        if not endpoint.enabled:
            raise CommandError(f"{endpoint.uid} is disabled ({endpoint.disabled_reason})")
        ping(tenant, endpoint, using=options["database"])
        self._tell(options, {"endpoint": endpoint.uid, "pinged": True}, "a test is on its way")

    def _replay(self, tenant: TenantKey, options: dict[str, Any]) -> None:
        using, what = options["database"], options["what"]
        if what.startswith("whd_"):
            if options["since"] or options["until"] or options["all"]:
                raise CommandError("--since, --until and --all are for endpoints")
            count = replay(tenant, [_find(Delivery, what, using)], using=using)
        else:
            if options["since"] is None:
                raise CommandError("say from when: --since TIME")
            count = replay_since(
                tenant,
                _find(Endpoint, what, using),
                since=options["since"],
                until=options["until"],
                only_failed=not options["all"],
                using=using,
            )
        self._tell(options, {"what": what, "replayed": count}, f"{count} on their way again")

    def _tell(self, options: dict[str, Any], row: dict[str, Any], line: str) -> None:
        self.stdout.write(json.dumps(row) if options["format"] == "json" else line)


def _find(model: Any, uid: str, using: str) -> Any:
    rows = model.objects.using(using)
    found = (rows.select_related("message") if model is Delivery else rows).filter(uid=uid).first()
    if found is None:
        raise CommandError(f"the tenant has no {model._meta.verbose_name} {uid!r}")
    return found


def _state_of(endpoint: Endpoint) -> str:
    if not endpoint.enabled:
        return f"disabled:{endpoint.disabled_reason}"
    if endpoint.confirmed_at is None:
        return "unconfirmed"
    held = endpoint.held_until is not None and endpoint.held_until > timezone.now()
    return "held" if held else "sending"


def _instant(text: str) -> dt.datetime:
    """Return the instant that a person wrote; without a zone it is one of the site's."""
    at = dt.datetime.fromisoformat(text)
    return at if at.tzinfo else timezone.make_aware(at)
