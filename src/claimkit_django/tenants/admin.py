"""Tenants and memberships in the admin, and the base of every admin page on rows of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.forms.models import BaseInlineFormSet
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from claimkit.tenants import Role, in_tenant
from claimkit_django.tenants.directory import SESSION_KEY, permitted_tenants, resolve
from claimkit_django.tenants.members import role_of
from claimkit_django.tenants.models import Membership, Tenant

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["CappedPaginator", "TenantAdmin", "TenantModelAdmin"]


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts to ten thousand and no further, so that a page costs the same at any size."""

    limit = 10_000

    @cached_property
    def count(self) -> int:
        """Number of rows, at most :attr:`limit`."""
        rows = cast("QuerySet[Any]", self.object_list)
        return len(rows.order_by()[: self.limit].values_list("pk"))


class TenantModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin page on rows of the tenant in scope; asks for a tenant where there is none.

    Rows are read by members; :attr:`write_role` may also add and act. Nothing is changed or
    deleted by hand unless a subclass says so.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    write_role: ClassVar[Role] = Role.ANALYST

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the person has the permission and the role in the tenant."""
        return super().has_add_permission(request) and self._may_write(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows come from files and runs."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what was told stays."""
        del request, obj
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, or ask for a tenant first."""
        return _ask_for_tenant(request) or super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """Show the form, or ask for a tenant first."""
        return _ask_for_tenant(request) or super().changeform_view(
            request, object_id, form_url, extra_context
        )

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Show the history, or ask for a tenant first."""
        return _ask_for_tenant(request) or super().history_view(request, object_id, extra_context)

    def _may_write(self, request: HttpRequest) -> bool:
        tenant = getattr(request, "claimkit_tenant", None)
        role = role_of(request.user, tenant) if tenant is not None else None
        return role is not None and role.includes(self.write_role)


def _ask_for_tenant(request: HttpRequest) -> HttpResponseBase | None:
    if in_tenant():
        return None
    messages.warning(request, _("Choose the tenant to work in first."))
    return HttpResponseRedirect(reverse("admin:claimkit_tenants_tenant_changelist"))


class MembershipFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """Memberships of one tenant; keeps an owner."""

    def clean(self) -> None:
        """Refuse to leave a tenant that has an owner without one."""
        super().clean()
        had_owner = any(form.initial.get("role") == Role.OWNER.value for form in self.forms)
        kept = [form for form in self.forms if form not in self.deleted_forms]
        has_owner = any(form.cleaned_data.get("role") == Role.OWNER.value for form in kept)
        if had_owner and not has_owner:
            raise ValidationError(_("A tenant needs an owner."), code="last_owner")


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    """Who belongs to a tenant."""

    model = Membership
    formset = MembershipFormSet
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tenants; also where a person chooses the one to work in."""

    list_display = ("key", "name", "timezone", "active")
    list_filter = ("active",)
    search_fields = ("key", "name")
    inlines = (MembershipInline,)
    actions = ("work_in",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the key as read-only once the tenant exists: paths and messages carry it."""
        del request
        return () if obj is None else ("key",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        """Return all tenants for superusers, else the person's own."""
        rows = super().get_queryset(request)
        if getattr(request.user, "is_superuser", False):
            return rows
        return rows.filter(key__in=permitted_tenants(request.user))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: Any) -> None:
        """Save new owners before others leave, so that there is one at every moment."""
        del request, form, change
        made = formset.save(commit=False)
        for member in sorted(made, key=lambda one: one.role != Role.OWNER.value):
            member.save()
        for member in formset.deleted_objects:
            member.delete()

    @admin.action(description=_("Work in this tenant"), permissions=["view"])
    def work_in(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> None:
        """Keep the chosen tenant in the session; the middleware enters it from now on."""
        keys = list(queryset.values_list("key", flat=True)[:2])
        if len(keys) != 1:
            messages.error(request, _("Select exactly one tenant."))
            return
        chosen = resolve(request.user, wanted=keys[0])
        if chosen is None:
            messages.error(request, _("You cannot work in this tenant."))
            return
        request.session[SESSION_KEY] = chosen.key
        messages.success(request, _("You now work in %(name)s.") % {"name": chosen.name})
