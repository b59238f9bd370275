"""Uploads: send a file, follow its import, see what is odd about it, take the repair file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import messages
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone

from claimkit.tenants import Role
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.claims.quality import release_holds
from claimkit_django.claims.repair import note_download, write_repair
from claimkit_django.claims.tasks import queue_import
from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage, listed
from claimkit_django.keysets import SortKey
from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

__all__ = ["RepairPage", "UploadPage", "UploadsPage", "urlpatterns"]

#: Rejected rows that a page shows; the repair file has all.
_PROBLEMS_SHOWN = 20
_WAITS = (Upload.Status.QUEUED, Upload.Status.PROCESSING)


class SendForm(forms.Form):
    """A file of claims to take."""

    file = forms.FileField(
        label="File",
        max_length=255,
        error_messages={
            "required": "Choose a file.",
            "empty": "This file is empty. Choose the one that your system exported.",
        },
        help_text="835 or 837 of your clearinghouse, or the CSV export of your billing system.",
    )
    reader = forms.ChoiceField(label="What it is", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["reader"]
        choice.choices = [
            ("", "Find out from the file"),
            *((one, one) for one in plugins().readers),
        ]


class UploadsPage(DashboardPage):
    """Files that were handed in, newest first, and the form for another one."""

    template_name = "claimkit_dashboard/uploads.html"
    section = "uploads"
    roles = ANALYST_ACTS

    def get(
        self, request: HttpRequest, form: SendForm | None = None, status: int = 200
    ) -> HttpResponse:
        """Show one page of them."""
        keys = (SortKey("created_at", descending=True), SortKey("id", descending=True))
        found = listed(request, self.take_page(Upload.objects.all(), *keys))
        return self.show(
            **found,
            people=self.people,
            waits=any(one.status in _WAITS for one in found["rows"]),
            form=form or SendForm(auto_id="send-%s"),
            status=status,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """Take a file, queue its import, and go where it is followed."""
        form = SendForm(request.POST, request.FILES, auto_id="send-%s")
        if not form.is_valid():
            return self.get(request, form, status=422)
        file = form.cleaned_data["file"]
        upload = Upload.objects.create(
            file=file,
            name=file.name,
            bytes_total=file.size,
            reader=form.cleaned_data["reader"],
            source="dashboard",
            actor=self.actor,
            known_on=timezone.localdate(),
        )
        queue_import(upload)
        return HttpResponseRedirect(reverse("claimkit_dashboard:upload", args=[upload.uid]))


class UploadPage(DashboardPage):
    """One file: how far it is, and what became of it."""

    template_name = "claimkit_dashboard/upload.html"
    section = "uploads"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Show it; while it waits, htmx asks for the part that changes."""
        del request
        upload = get_object_or_404(Upload, uid=uid)
        waits = upload.status in _WAITS
        part = "claimkit_dashboard/parts/upload.html" if waits and self.wants_part("upload") else ""
        problems = RejectedRow.objects.filter(upload=upload).order_by("ordinal").defer("raw")
        return self.show(
            template=part,
            upload=upload,
            waits=waits,
            problems=problems[:_PROBLEMS_SHOWN] if upload.rows_rejected else [],
        )


class ReleasePage(DashboardPage):
    """Say that the data of a file is right: alerts that wait because of it are told."""

    roles = ANALYST_ACTS
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Let them go."""
        upload = get_object_or_404(Upload, uid=uid)
        if release_holds(upload, actor=self.actor, using=DEFAULT_DB_ALIAS):
            messages.success(
                request, "Alerts no longer wait for this file; the next watch tells them."
            )
        return self.back(reverse("claimkit_dashboard:upload", args=[uid]))


class RepairPage(DashboardPage):
    """The rejected rows as they were sent, with what is wrong with each; not for viewers."""

    roles: ClassVar[Mapping[str, Role]] = dict.fromkeys(("GET", "HEAD"), Role.ANALYST)

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Return the file; the audit trail keeps who took it."""
        del request
        upload = get_object_or_404(Upload, uid=uid)
        note_download(upload)
        body = io.BytesIO()
        write_repair(upload, body)
        return HttpResponse(
            body.getvalue(),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{upload.uid}-repair.csv"',
                "Content-Security-Policy": "sandbox",
            },
        )


urlpatterns = [
    path("", UploadsPage.as_view(), name="uploads"),
    path("<slug:uid>/", UploadPage.as_view(), name="upload"),
    path("<slug:uid>/release/", ReleasePage.as_view(), name="release"),
    path("<slug:uid>/repair.csv", RepairPage.as_view(), name="repair"),
]
