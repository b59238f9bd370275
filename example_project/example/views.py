"""The site's own pages: what changed, and the files that were sent.

They show how a host builds on claimkit: `TenantMiddleware` has put a tenant in scope, the store
answers with values of the core, and `queue_import` hands a file to the same pipeline as the API.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.http import FileResponse, Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from claimkit.alerts.judgments import Verdict
from claimkit.errors import AlertConflict
from claimkit.tenants import Role, current_tenant, in_tenant
from claimkit_django.alerts import acts
from claimkit_django.alerts.models import Alert
from claimkit_django.claims.models import Upload
from claimkit_django.claims.tasks import queue_import
from claimkit_django.runtime import open_store
from claimkit_django.tenants.directory import SESSION_KEY, actor_of, permitted_tenants
from claimkit_django.tenants.members import role_of
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

Act = Callable[[str, str, bool], object]
#: The report is a page of its own, with its style inside and nothing to run.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@require_safe
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Show the open findings of the tenant in scope, most expensive first."""
    context = _tenant_context(request)
    if context["tenant"] is not None:
        store = open_store()
        findings = store.findings.open(current_tenant())
        context |= {
            "findings": findings,
            "at_risk": sum(one.dollars_per_month for one in findings if one.unit != "days"),
            # Late money is still owed: it must not be added to money that is lost.
            "held_up": sum(one.dollars_per_month for one in findings if one.unit == "days"),
            "as_of": max((one.as_of for one in findings), default=None),
            "totals": store.claims.totals(current_tenant()),
            "report": _report(current_tenant()).is_file(),
        }
    return render(request, "example/start.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def uploads(request: HttpRequest) -> HttpResponse:
    """Show the files that were sent, and take another one."""
    context = _tenant_context(request)
    if context["tenant"] is None:
        return render(request, "example/uploads.html", context)
    if request.method == "POST":
        return _take_file(request, may_upload=context["may_upload"])
    context["uploads"] = Upload.objects.order_by("-created_at")[:50]
    return render(request, "example/uploads.html", context)


@require_safe
@login_required
def alerts(request: HttpRequest) -> HttpResponse:
    """Show what the tenant's people have to deal with, most expensive first."""
    context = _tenant_context(request)
    if context["tenant"] is not None:
        live = Alert.objects.exclude(state=Alert.State.RESOLVED).prefetch_related("history")
        context["alerts"] = live.order_by("-dollars_per_month", "pk")[:50]
        context["may_act"] = context["may_upload"]
    return render(request, "example/alerts.html", context)


@require_POST
@login_required
def act_on_alert(request: HttpRequest, uid: str, act: str) -> HttpResponse:
    """Do what a button says."""
    context = _tenant_context(request)
    if context["tenant"] is None or act not in _ACTS:
        raise Http404
    if not context["may_upload"]:
        raise PermissionDenied
    is_decisive = context["role"].includes(Role.ADMIN)
    try:
        _ACTS[act](uid, actor_of(request.user), is_decisive)
    except Alert.DoesNotExist:
        raise Http404 from None
    except AlertConflict as error:
        messages.error(request, str(error))
    return redirect("alerts")


def _judged(verdict: Verdict) -> Act:
    return lambda uid, actor, is_decisive: acts.judge(
        uid, verdict=verdict, actor=actor, is_decisive=is_decisive, using=DEFAULT_DB_ALIAS
    )


#: What a button of an alert does, given its uid, who pressed it, and whether that decides alone.
_ACTS: dict[str, Act] = {
    "acknowledge": lambda uid, actor, _: acts.acknowledge(uid, actor=actor, using=DEFAULT_DB_ALIAS),
    "resolve": lambda uid, actor, _: acts.resolve(uid, actor=actor, using=DEFAULT_DB_ALIAS),
    "real": _judged(Verdict.REAL),
    "noise": _judged(Verdict.NOISE),
}


@require_safe
@login_required
def mail(request: HttpRequest) -> HttpResponse:
    """Show the mail that went to the tenant, the latest first."""
    context = _tenant_context(request)
    if context["tenant"] is not None:
        context["mails"] = _mails_about(context["tenant"].name)
    return render(request, "example/mail.html", context)


def _mails_about(tenant: str) -> list[dict[str, str]]:
    """Return mails from the files of Django's file backend; the first line says whose they are."""
    found = []
    for path in sorted(Path(settings.MAIL_DIR).glob("*.log"), reverse=True):
        for text in path.read_text(encoding="utf-8").split("-" * 79 + "\n"):
            read = email.message_from_string(text.strip(), policy=email.policy.default)
            part = read.get_body(("plain",))
            body = part.get_content() if isinstance(part, EmailMessage) else ""
            if body.partition("\n")[0] == tenant:
                found.append({"subject": read["Subject"], "date": read["Date"], "text": body})
    return found[:50]


@require_POST
@login_required
def choose_tenant(request: HttpRequest) -> HttpResponse:
    """Remember which of the user's tenants the pages are about."""
    wanted = request.POST.get("tenant", "")
    if wanted not in {one.key for one in _tenants_of(request)}:
        raise Http404
    request.session[SESSION_KEY] = wanted
    return redirect("start")


@require_safe
@login_required
def report(_request: HttpRequest, key: str) -> HttpResponse | FileResponse:
    """Send the tenant's report as ``demo.py`` wrote it; other tenants have none."""
    if not in_tenant() or key != current_tenant() or not _report(key).is_file():
        raise Http404
    response = FileResponse(_report(key).open("rb"), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _tenant_context(request: HttpRequest) -> dict[str, Any]:
    """Return what every page shows: whose data it is, and what the user may do with it."""
    tenant = request.claimkit_tenant  # type: ignore[attr-defined]
    role = role_of(request.user, tenant) if tenant else None
    return {
        "tenant": tenant,
        "tenants": _tenants_of(request),
        "role": role,
        "may_upload": role is not None and role.includes(Role.ANALYST),
    }


def _tenants_of(request: HttpRequest) -> list[Tenant]:
    """Return the tenants that the user may enter, by name; a superuser may enter all."""
    if request.user.is_superuser:
        return list(Tenant.objects.filter(active=True).order_by("name"))
    return sorted(permitted_tenants(request.user).values(), key=lambda one: one.name)


def _take_file(request: HttpRequest, *, may_upload: bool) -> HttpResponse:
    file = request.FILES.get("file")
    if not may_upload:
        raise PermissionDenied
    if file is None or not file.size:
        messages.error(request, "Choose a file that is not empty.")
        return redirect("uploads")
    upload = Upload.objects.create(
        file=file,
        name=file.name,
        bytes_total=file.size,
        source="site",
        actor=actor_of(request.user),
        known_on=timezone.localdate(),
    )
    queue_import(upload)
    messages.success(request, f"{upload.name} was taken and will be read by the worker.")
    return redirect("uploads")


def _report(key: str) -> Path:
    return Path(settings.REPORTS_DIR) / key / "report.html"
