"""Whose data a person looks at, where they belong to several tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_protect

from claimkit_django.dashboard.pages import password_url, protected, sign_out_url
from claimkit_django.tenants.directory import SESSION_KEY, permitted_tenants
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["TenantChoicePage", "urlpatterns"]


@method_decorator(csrf_protect, name="dispatch")
class TenantChoicePage(LoginRequiredMixin, View):
    """The tenants of a person, to choose one of for this session."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Keep the page out of caches."""
        return protected(super().dispatch(request, *args, **kwargs))

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Show them."""
        chosen = getattr(request, "claimkit_tenant", None)
        context = {
            "tenants": _tenants_of(request.user),
            "chosen": chosen,
            "password_url": password_url(),
            "sign_out_url": sign_out_url(),
        }
        return render(request, "claimkit_dashboard/tenants.html", context)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Choose one; what is none of theirs is chosen by nobody."""
        wanted = request.POST.get("tenant", "")
        if any(one.key == wanted for one in _tenants_of(request.user)):
            request.session[SESSION_KEY] = wanted
            return HttpResponseRedirect(reverse("claimkit_dashboard:index"))
        return HttpResponseRedirect(reverse("claimkit_dashboard:tenants"))


def _tenants_of(user: Any) -> list[Tenant]:
    """Return the tenants that a person may enter, by name; a superuser may enter all."""
    if user.is_superuser:
        return list(Tenant.objects.filter(active=True).order_by("name"))
    return sorted(permitted_tenants(user).values(), key=lambda one: one.name)


urlpatterns = [path("organizations/", TenantChoicePage.as_view(), name="tenants")]
