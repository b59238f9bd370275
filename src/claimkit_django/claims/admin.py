"""Uploads and claims in the admin."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from claimkit.claims.ledger import claim_key
from claimkit.types import from_cents
from claimkit_django.claims.admin_rules import CsvTemplateAdmin, MappingVersionAdmin
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, Dimension, Upload
from claimkit_django.claims.quality import release_holds
from claimkit_django.claims.repair import note_download, write_repair
from claimkit_django.claims.tasks import queue_import
from claimkit_django.tenants.admin import TenantModelAdmin
from claimkit_django.tenants.directory import actor_of

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

__all__ = ["ClaimAdmin", "CsvTemplateAdmin", "MappingVersionAdmin", "UploadAdmin"]

#: A repair file up to this size never touches the disk.
_IN_MEMORY = 1 << 20
_OUTCOME_OF = {code: outcome.value for outcome, code in OUTCOMES.items()}


@admin.register(Upload)
class UploadAdmin(TenantModelAdmin):
    """Hand in a file, watch it go in, download what was rejected."""

    list_display = (
        "name",
        "status",
        "progress",
        "claims_new",
        "claims_changed",
        "rows_rejected",
        "created_at",
        "actor",
    )
    list_filter = ("status", "holds_alerts")
    search_fields = ("name", "uid", "sha256")
    date_hierarchy = None
    actions = ("run_again", "release")
    #: Fields of the form that hands in a file.
    add_fields: ClassVar = ("file", "reader")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the two fields of a new upload, or all that is known of an old one."""
        del request
        if obj is None:
            return self.add_fields
        shown = [field.name for field in Upload._meta.fields]
        hidden = {
            "id",
            "tenant",
            "file",
            "options",
            "header",
            "attempts",
            "batches_done",
            "quality",
        }
        return [
            *(name for name in shown if name not in hidden),
            "progress",
            "quality_issues",
            "repair",
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return everything for an upload that exists."""
        return () if obj is None else self.get_fields(request, obj)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: Any = None, **kwargs: Any
    ) -> Any:
        """Return the form; a new upload must come with a file."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if "file" in form.base_fields:
            form.base_fields["file"].required = True
        return form

    def save_model(self, request: HttpRequest, obj: Upload, form: Any, change: Any) -> None:
        """Store the file and start its import after the commit."""
        del form, change
        obj.name = (obj.file.name or "").rpartition("/")[2]
        obj.bytes_total = obj.file.size
        obj.source = "admin"
        obj.actor = actor_of(request.user)
        obj.known_on = timezone.localdate()
        obj.save()
        queue_import(obj)

    def get_urls(self) -> list[Any]:
        """Add the page from which the repair file is downloaded."""
        page = self.admin_site.admin_view(self.repair_view)
        return [
            path("<str:uid>/repair/", page, name="claimkit_claims_upload_repair"),
            *super().get_urls(),
        ]

    def repair_view(self, request: HttpRequest, uid: str) -> FileResponse:
        """Return the rejected rows; they hold patients, so viewers are refused."""
        if not self.has_view_permission(request) or not self._may_write(request):
            raise PermissionDenied
        upload = get_object_or_404(Upload.objects.all(), uid=uid)
        if not upload.rows_rejected:
            raise Http404
        note_download(upload)
        # Closed by the response.
        out = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        write_repair(upload, out)  # type: ignore[arg-type]
        out.seek(0)
        response = FileResponse(
            out, as_attachment=True, filename=f"{upload.uid}-repair.csv", content_type="text/csv"
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    @admin.display(description=_("Progress"))
    def progress(self, upload: Upload) -> str:
        """Show how much of the file has been read."""
        if upload.finished_at is not None and upload.status != Upload.Status.FAILED:
            return "100 %"
        return f"{100 * upload.bytes_done // max(upload.bytes_total, 1)} %"

    @admin.display(description=_("Rejected rows"))
    def repair(self, upload: Upload) -> str:
        """Link to the repair file."""
        if not upload.rows_rejected:
            return "–"
        url = reverse("admin:claimkit_claims_upload_repair", args=[upload.uid])
        return format_html('<a href="{}">{}</a>', url, _("Download to repair"))

    @admin.display(description=_("Quality"))
    def quality_issues(self, upload: Upload) -> str:
        """Show what is unusual about the file, and whether alerts wait for it."""
        issues = upload.quality.get("issues", [])
        return format_html_join(
            "",
            "{}{}<br>",
            ((one["message"], _(" (alerts wait)") if one["holds"] else "") for one in issues),
        )

    @admin.action(description=_("The data is right: let waiting alerts go"), permissions=["add"])
    def release(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        """Release the chosen uploads."""
        count = sum(
            release_holds(one, actor=actor_of(request.user), using=queryset.db) for one in queryset
        )
        messages.success(request, _("Released %(count)d uploads.") % {"count": count})

    @admin.action(description=_("Run the import again"), permissions=["add"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        """Start unfinished and failed imports again; what is in already stays as it is."""
        waiting = queryset.exclude(status__in=[Upload.Status.SUCCESS, Upload.Status.PARTIAL])
        count = 0
        for upload in waiting:
            queue_import(upload)
            count += 1
        messages.success(request, _("Started %(count)d imports.") % {"count": count})


class OutcomeFilter(admin.SimpleListFilter):
    """Claims by what became of them."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the outcomes by name."""
        del request, model_admin
        return [(outcome.value, outcome.value) for outcome in OUTCOMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Claim]) -> QuerySet[Claim]:
        """Return the claims with the chosen outcome."""
        del request
        codes = {outcome.value: code for outcome, code in OUTCOMES.items()}
        chosen = codes.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(outcome=chosen)


@admin.register(Claim)
class ClaimAdmin(TenantModelAdmin):
    """Where each claim stands; read-only."""

    list_display = (
        "uid",
        "patient_control_number",
        "payer_name",
        "outcome_name",
        "charge_dollars",
        "paid_dollars",
        "listed_on",
    )
    list_filter = (OutcomeFilter,)
    search_fields = ("patient_control_number",)
    search_help_text = _("The patient control number, as the provider or the payer writes it.")
    ordering = ("-listed_on", "-id")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Claim]:
        """Return claims with the payer's name; names are looked up for the page only."""
        names = Dimension.objects.filter(code=OuterRef("payer")).values("name")[:1]
        claims: QuerySet[Claim] = super().get_queryset(request)
        return claims.annotate(_payer_name=Subquery(names))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Claim], search_term: str
    ) -> tuple[QuerySet[Claim], bool]:
        """Find a claim by its number, folded as payers fold it; one index look-up."""
        del request
        if search_term:
            queryset = queryset.filter(claim_key=claim_key(search_term))
        return queryset, False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: claims come from files."""
        del request
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what people can read: names and dollars in place of codes and cents."""
        del request, obj
        dates = [
            "service_from",
            "submitted_on",
            "first_decided_on",
            "decided_on",
            "paid_on",
            "lag_days",
        ]
        return ["uid", *self.list_display[1:-1], "payer_claim_control_number", *dates]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return all fields."""
        return self.get_fields(request, obj)

    @admin.display(description=_("Payer"))
    def payer_name(self, claim: Any) -> str:
        """Show the payer's name."""
        return claim._payer_name or "–"

    @admin.display(description=_("Outcome"))
    def outcome_name(self, claim: Claim) -> str:
        """Show the outcome's name."""
        return _OUTCOME_OF[claim.outcome]

    @admin.display(description=_("Charge"))
    def charge_dollars(self, claim: Claim) -> str:
        """Show dollars."""
        return f"{from_cents(claim.charge):,}"

    @admin.display(description=_("Paid"))
    def paid_dollars(self, claim: Claim) -> str:
        """Show dollars."""
        return f"{from_cents(claim.paid):,}"
