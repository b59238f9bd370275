"""What every page of the dashboard does: whose data, in which role, and how errors look.

:class:`DashboardPage` signs people in, enters their tenant, asks their role, and makes an error a
page that says what to do next. Pages answer whole; htmx picks from the answer what it swaps, so a
page works the same without JavaScript.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django.apps import apps
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.csrf import csrf_protect

from claimkit.tenants import Role
from claimkit_django.conf import config
from claimkit_django.http.security import PAGE_POLICY
from claimkit_django.keysets import CursorRefused, Page, SortKey, bound_to, take_page
from claimkit_django.tenants.directory import actor_of, choose_tenant, describe_actor
from claimkit_django.tenants.members import role_of
from claimkit_django.tenants.scope import enter
from claimkit_django.trail import acting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from claimkit_django.tenants.models import Tenant

__all__ = [
    "ANALYST_ACTS",
    "SECTIONS",
    "DashboardPage",
    "Section",
    "installed_sections",
    "listed",
    "password_url",
    "protected",
    "sign_out_url",
]

_READ: Mapping[str, Role] = dict.fromkeys(("GET", "HEAD", "OPTIONS"), Role.VIEWER)
#: Roles of a page that members read and analysts act on.
ANALYST_ACTS: Mapping[str, Role] = {**_READ, "POST": Role.ANALYST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One entry of the navigation: its pages are there where its room is installed."""

    #: Module of the dashboard that holds the pages, and name of the first one.
    name: str
    label: str
    #: App that the pages show.
    room: str

    @property
    def url(self) -> str:
        """Return where the section begins."""
        return reverse(f"claimkit_dashboard:{self.name}")


#: In the order of the navigation.
SECTIONS = (
    Section(name="findings", label="Findings", room="claimkit_django.drift"),
    Section(name="alerts", label="Alerts", room="claimkit_django.alerts"),
    Section(name="uploads", label="Uploads", room="claimkit_django.claims"),
    Section(name="mappings", label="Names", room="claimkit_django.claims"),
    Section(name="authorizations", label="Authorizations", room="claimkit_django.authorizations"),
    Section(name="automation", label="Automation", room="claimkit_django.automation"),
    Section(name="reports", label="Reports", room="claimkit_django.reports"),
    Section(name="backtests", label="Backtests", room="claimkit_django.drift"),
)


def installed_sections() -> list[Section]:
    """Return the sections whose rooms the site installed."""
    return [one for one in SECTIONS if apps.is_installed(one.room)]


@method_decorator(csrf_protect, name="dispatch")
class DashboardPage(View):
    """A page about one tenant, entered before anything else is looked at."""

    template_name: ClassVar[str]
    #: Section that the navigation marks.
    section: ClassVar[str] = ""
    #: Method → least role; methods that are not listed take :attr:`Role.OWNER`.
    roles: ClassVar[Mapping[str, Role]] = _READ
    tenant: Tenant
    role: Role

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer inside the tenant's scope; errors of people's making become pages."""
        if not request.user.is_authenticated:
            return _sign_in(request)
        with ExitStack() as scope:
            scope.enter_context(acting(describe_actor(request, request.user, via="session")))
            tenant = getattr(request, "claimkit_tenant", None) or choose_tenant(request)
            role = role_of(request.user, tenant) if tenant is not None else None
            if tenant is None or role is None:
                return HttpResponseRedirect(reverse("claimkit_dashboard:tenants"))
            self.tenant, self.role = tenant, role
            scope.enter_context(enter(tenant))
            try:
                if not role.includes(self.roles.get(request.method or "", Role.OWNER)):
                    raise PermissionDenied
                answer = super().dispatch(request, *args, **kwargs)
            except PermissionDenied:
                answer = self.problem(
                    "Your role does not allow this",
                    f"You are {role.value} of {tenant.name}. Ask an admin of {tenant.name} for a "
                    "role that includes it.",
                    status=403,
                )
            except Http404:
                answer = self.problem(
                    "There is nothing here",
                    "It may have been removed, or it belongs to another of your organizations: "
                    "look at whose data you see, in the upper corner.",
                    status=404,
                )
            except CursorRefused:
                answer = self.problem(
                    "This page of the list is gone",
                    "The link is old, or its filters were changed. Start again at the first page.",
                    status=400,
                )
        return protected(answer)

    @property
    def actor(self) -> str:
        """Return the key by which rows remember who acts."""
        return actor_of(self.request.user)

    @cached_property
    def people(self) -> dict[str, str]:
        """Return the members of the tenant, by the key that rows keep, by name; one query."""
        members = self.tenant.memberships.select_related("user")
        named = ((actor_of(one.user), one.user.get_username()) for one in members)
        return dict(sorted(named, key=lambda one: one[1]))

    @property
    def may_act(self) -> bool:
        """Whether the person may do more than look."""
        return self.role.includes(Role.ANALYST)

    def show(self, *, status: int = 200, template: str = "", **context: Any) -> HttpResponse:
        """Return the page with ``context`` in it."""
        return render(
            self.request,
            template or self.template_name,
            {**self._frame(), **context},
            status=status,
        )

    def problem(self, title: str, remedy: str, *, status: int) -> HttpResponse:
        """Return a page that says what went wrong, and what to do next."""
        return self.show(
            template="claimkit_dashboard/problem.html", status=status, title=title, remedy=remedy
        )

    def wants_part(self, name: str) -> bool:
        """Whether htmx asks for the element called ``name`` only."""
        headers = self.request.headers
        return headers.get("HX-Request") == "true" and headers.get("HX-Target") == name

    def back(self, default: str) -> HttpResponseRedirect:
        """Return to the page of this site that the form names, else to ``default``.

        htmx follows like a browser does, and picks from that page what it swaps.
        """
        wanted = self.request.POST.get("next", "")
        hosts = {self.request.get_host()}
        is_ours = url_has_allowed_host_and_scheme(
            wanted, allowed_hosts=hosts, require_https=self.request.is_secure()
        )
        return HttpResponseRedirect(wanted if is_ours else default)

    def take_page(self, rows: QuerySet[Any], *keys: SortKey, size: int = 0) -> Page[Any]:
        """Return the page of rows that the address asks for; one query.

        Args:
            rows: All rows.
            keys: What they are sorted by; the last one is unique.
            size: Rows on a page; that of the settings by default.

        Raises:
            CursorRefused: the cursor is not one of this list.
        """
        asked = self.request.GET
        return take_page(
            rows,
            keys,
            size=size or config().dashboard.page_size,
            cursor=asked.get("cursor", ""),
            bound=bound_to(self.request.path, _chosen(asked)),
        )

    def _frame(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "role": self.role.value,
            "may_act": self.may_act,
            "sections": installed_sections(),
            "section": self.section,
            "password_url": password_url(),
            "sign_out_url": sign_out_url(),
            "poll_seconds": config().dashboard.poll_seconds,
        }


def listed(request: HttpRequest, page: Page[Any]) -> dict[str, Any]:
    """Return the rows of a page, and the addresses of the pages beside it."""
    query = urlencode(_chosen(request.GET))

    def address(cursor: str) -> str:
        told = urlencode({"cursor": cursor})
        return f"?{query}&{told}" if query else f"?{told}"

    return {
        "rows": page.rows,
        "next_url": address(page.next) if page.next else "",
        "previous_url": address(page.previous) if page.previous else "",
    }


def _chosen(asked: Any) -> Sequence[tuple[str, str]]:
    """Return what an address chooses, but for the place in the list."""
    return [(name, value) for name, value in asked.items() if name != "cursor" and value]


def _sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.headers.get("HX-Request") != "true":
        # What a form would have done cannot be asked for by a GET: start at the overview.
        is_read = request.method in ("GET", "HEAD")
        here = request.get_full_path() if is_read else reverse("claimkit_dashboard:index")
        return redirect_to_login(here)
    # A part of a page cannot be swapped for a form to sign in: the whole page goes there.
    return HttpResponse(status=401, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)})


def sign_out_url() -> str:
    """Return where a POST signs out: of the accounts room, else of Django; empty without either."""
    return _first_address("claimkit_accounts:logout", "logout")


def password_url() -> str:
    """Return where to change one's password, likewise."""
    return _first_address("claimkit_accounts:password_change", "password_change")


def _first_address(*names: str) -> str:
    for name in names:
        try:
            return reverse(name)
        except NoReverseMatch:
            continue
    return ""


def protected(answer: HttpResponseBase) -> HttpResponseBase:
    """Keep what is about patients' claims out of caches, and scripts of others out of pages."""
    patch_cache_control(answer, private=True, no_store=True)
    patch_vary_headers(answer, ("Cookie", "HX-Request"))
    if config().dashboard.strict_policy:
        answer.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "same-origin")
    return answer
