"""Proves that a site keeps its tenants apart, by walking its views and models as one of them.

::

    def test_tenants_are_kept_apart(northside, lakeview):
        mine = Side(tenant=northside, user=anna)
        theirs = Side(tenant=lakeview, user=bertram)
        assert_views_isolated(mine, theirs)
        assert_models_isolated(mine, theirs)

Both need rows on both sides: what has none can leak none. So make them before, with names that
are nobody else's. Everything is done in savepoints that are rolled back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.admindocs.views import simplify_regex
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import CharField, Count, Model, TextField
from django.test import Client
from django.urls import Resolver404, URLResolver, get_resolver

from claimkit.errors import ClaimkitError, TenantRequired
from claimkit_django.tenants.checks import check_tenant_model
from claimkit_django.tenants.models import TenantModel
from claimkit_django.tenants.rest import header_name
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from django.http.response import HttpResponseBase

    from claimkit_django.tenants.models import Tenant

__all__ = [
    "METHODS",
    "Leak",
    "Side",
    "Walk",
    "assert_models_isolated",
    "assert_views_isolated",
    "find_model_leaks",
    "walk_views",
]

#: Methods that each address is asked by.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_READS = frozenset({"GET", "HEAD"})
#: Shorter texts are on many pages.
_SHORTEST_MARK = 6
#: Values of one placeholder that are tried.
_MOST_VALUES = 60
_PLACEHOLDER = re.compile(r"<(\w+)>")
_CONVERTER = re.compile(r"<\w+:(?=\w+>)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A tenant, and somebody who belongs to it and to no other."""

    tenant: Tenant
    user: Any
    #: Name of a placeholder in addresses → values of this side, where they are no field of a row.
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One way in which something of the other tenant came out, or could be told to exist."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True, kw_only=True)
class Walk:
    """What walking all addresses gave."""

    leaks: list[Leak] = field(default_factory=list)
    #: Addresses with methods that were asked, with the other side's objects or without any.
    asked: list[str] = field(default_factory=list)
    #: Addresses whose placeholders nobody knew a value for.
    unreached: list[str] = field(default_factory=list)


def assert_views_isolated(
    mine: Side,
    theirs: Side,
    *,
    skip: Collection[str] = (),
    harmless: Collection[str] = (),
    methods: Sequence[str] = METHODS,
    urlconf: str | None = None,
) -> Walk:
    """Ask every address of the site as somebody of one tenant, for what is another tenant's.

    Args:
        mine: Who asks.
        theirs: Whose data must not come out.
        skip: Beginnings of addresses that are not walked, such as ``/admin/``.
        harmless: Texts of the other tenant's rows that may be on pages: they are not its own.
        methods: By which each address is asked.
        urlconf: The addresses; those of the settings by default.

    Returns:
        What was asked.

    Raises:
        AssertionError: with every leak, and every address that could not be asked.
    """
    walk = walk_views(mine, theirs, skip=skip, harmless=harmless, methods=methods, urlconf=urlconf)
    told = [str(one) for one in walk.leaks]
    told += [
        f"{one}: not asked; name values of its placeholders in Side.values, or skip it"
        for one in walk.unreached
    ]
    if not walk.asked:
        told.append("no address was asked: there is nothing that this proves")
    if told:
        raise AssertionError("tenants are not kept apart:\n" + "\n".join(told))
    return walk


def walk_views(
    mine: Side,
    theirs: Side,
    *,
    skip: Collection[str] = (),
    harmless: Collection[str] = (),
    methods: Sequence[str] = METHODS,
    urlconf: str | None = None,
) -> Walk:
    """Do what :func:`assert_views_isolated` does, and return what was found."""
    walker = _Walker(mine, theirs, harmless=harmless, urlconf=urlconf)
    for template in sorted(set(_addresses(get_resolver(urlconf)))):
        if not template.startswith(tuple(skip)) or not skip:
            walker.ask(template, methods)
    return walker.walk


def assert_models_isolated(
    mine: Side,
    theirs: Side,
    *,
    models: Collection[type[Model]] | None = None,
    without_rows: Collection[type[Model]] = (),
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Try every route of the ORM to rows of another tenant, on each of the site's own models.

    Args:
        mine: In whose scope.
        theirs: Whose rows must not be seen, counted, changed or deleted.
        models: Which; by default all models of tenants that are not claimkit's.
        without_rows: Models of which the other tenant needs no row.
        using: Alias of the database.

    Raises:
        AssertionError: with every route that leads there.
    """
    chosen = list(models if models is not None else _own_models())
    told = [str(one) for one in find_model_leaks(mine, theirs, models=chosen, using=using)]
    told += [
        f"{model._meta.label}: has no row of {theirs.tenant.key}, so nothing is proved; make one"
        for model in chosen
        if model not in without_rows and not _rows_of(model, theirs, using).exists()
    ]
    if not chosen:
        told.append("there are no models of tenants: there is nothing that this proves")
    if told:
        raise AssertionError("tenants are not kept apart:\n" + "\n".join(told))


def find_model_leaks(
    mine: Side,
    theirs: Side,
    *,
    models: Collection[type[Model]],
    using: str = DEFAULT_DB_ALIAS,
) -> list[Leak]:
    """Do what :func:`assert_models_isolated` does, and return what was found."""
    leaks: list[Leak] = []
    for model in models:
        label = model._meta.label
        if not issubclass(model, TenantModel):
            leaks.append(Leak(where=label, what="does not inherit from TenantModel"))
            continue
        leaks += [
            Leak(where=label, what=f"{one.msg} ({one.id})") for one in check_tenant_model(model)
        ]
        foreign = _rows_of(model, theirs, using).order_by().first()
        for manager in model._meta.managers:
            if manager.name == "unscoped":
                continue
            where = f"{label}.{manager.name}"
            leaks += _unscoped_leaks(model, manager.name, where, using)
            if foreign is not None:
                leaks += _route_leaks(manager.name, foreign, mine, where, using)
    return leaks


# -- models ------------------------------------------------------------------------------------


def _own_models() -> list[type[Model]]:
    return [
        model
        for model in apps.get_models()
        if issubclass(model, TenantModel) and not model._meta.app_label.startswith("claimkit_")
    ]


def _rows_of(model: type[Model], side: Side, using: str) -> Any:
    rows = getattr(model, "unscoped", model._default_manager).using(using)
    return rows.filter(tenant_id=side.tenant.pk)


#: Route → what it gives of a row of another tenant; anything true is a leak.
_ROUTES: Mapping[str, Callable[[Any, Any, int], Any]] = {
    "all()": lambda rows, _, tenant: [one for one in rows.all() if one.tenant_id == tenant],
    "iterator()": lambda rows, _, tenant: [
        one for one in rows.all().iterator() if one.tenant_id == tenant
    ],
    "values()": lambda rows, _, tenant: list(rows.filter(tenant_id=tenant).values("tenant_id")),
    "count()": lambda rows, _, tenant: rows.filter(tenant_id=tenant).count(),
    "aggregate()": lambda rows, _, tenant: rows.filter(tenant_id=tenant).aggregate(
        n=Count("tenant_id")
    )["n"],
    "exists()": lambda rows, row, _: rows.filter(pk=row.pk).exists(),
    "filter(pk=…)": lambda rows, row, _: rows.filter(pk=row.pk).first(),
    "in_bulk()": lambda rows, row, _: rows.in_bulk([row.pk]),
    "union()": lambda rows, row, _: list(rows.none().union(rows.filter(pk=row.pk))),
    "update()": lambda rows, row, _: rows.filter(pk=row.pk).update(
        **{_any_field(row): getattr(row, _any_field(row))}
    ),
    "delete()": lambda rows, row, _: rows.filter(pk=row.pk).delete()[0],
}


def _route_leaks(manager: str, foreign: Any, mine: Side, where: str, using: str) -> Iterator[Leak]:
    for route, act in _ROUTES.items():
        with transaction.atomic(using=using), enter(mine.tenant):
            try:
                found = act(
                    getattr(type(foreign), manager).using(using), foreign, foreign.tenant_id
                )
            except ClaimkitError:
                found = None
            transaction.set_rollback(True, using=using)
        if found:
            yield Leak(where=where, what=f"{route} reaches rows of another tenant")


def _unscoped_leaks(model: type[Model], manager: str, where: str, using: str) -> Iterator[Leak]:
    try:
        getattr(model, manager).using(using).first()
    except TenantRequired:
        return
    yield Leak(where=where, what="answers where no tenant is in scope")


def _any_field(row: Any) -> str:
    """Return a field that an UPDATE may name."""
    return next(
        str(one.attname)
        for one in row._meta.concrete_fields
        if not one.primary_key and one.name != "tenant"
    )


# -- views -------------------------------------------------------------------------------------


def _addresses(resolver: Any, prefix: str = "/") -> Iterator[str]:
    """Return every address below a resolver, with ``<name>`` for what varies."""
    for one in resolver.url_patterns:
        where = prefix + _template(str(one.pattern))
        if isinstance(one, URLResolver):
            yield from _addresses(one, where)
        else:
            yield where


def _template(route: str) -> str:
    return _CONVERTER.sub("<", simplify_regex(route)).lstrip("/")


class _Walker:
    """Asks as one side, and knows the other's marks."""

    def __init__(
        self, mine: Side, theirs: Side, *, harmless: Collection[str], urlconf: str | None
    ) -> None:
        self.walk = Walk()
        self._theirs = theirs
        self._urlconf = urlconf
        self._models = [model for model in apps.get_models() if issubclass(model, TenantModel)]
        self._before = self._their_rows()
        self._marks = _texts(self._models, theirs) - _texts(self._models, mine) - {*harmless}
        self._client = Client(raise_request_exception=False)
        self._client.force_login(mine.user)

    def ask(self, template: str, methods: Sequence[str]) -> None:
        """Ask an address for the other side's objects, or by itself where it names none."""
        names = _PLACEHOLDER.findall(template)
        if not names:
            for method in methods:
                self._look(template, method, template, sent=[])
            # Nobody's tenant may well be an error here: that tells nothing.
            header = {f"HTTP_{header_name().upper().replace('-', '_')}": self._theirs.tenant.key}
            self._look(template, "GET", template, sent=[self._theirs.tenant.key], **header)
            return
        concrete = list(self._concrete(template, names))
        if not concrete:
            self.walk.unreached.append(template)
        for where, values in concrete:
            nobody = _filled(template, [*values[:-1], _changed(values[-1])])
            for method in methods:
                self._look(template, method, where, sent=values, nobody=nobody)

    def _concrete(self, template: str, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Return addresses of the other side's objects that lead to this very view."""
        several = [self._values(name) for name in names]
        for row in zip(*several, strict=False):
            values = list(map(str, row))
            where = _filled(template, values)
            if self._leads_to(where, template):
                yield where, values

    def _leads_to(self, where: str, template: str) -> bool:
        try:
            match = get_resolver(self._urlconf).resolve(where)
        except Resolver404:
            return False
        return "/" + _template(match.route) == template

    def _values(self, name: str) -> list[str]:
        if name in self._theirs.values:
            return list(self._theirs.values[name])
        found: list[str] = []
        for model in self._models:
            if any(name in (one.name, one.attname) for one in model._meta.concrete_fields):
                rows = _rows_of(model, self._theirs, DEFAULT_DB_ALIAS).order_by()
                found += [str(one) for one in rows.values_list(name, flat=True)[:1] if one]
            elif name == "pk" or name.endswith(("_id", "_pk")):
                rows = _rows_of(model, self._theirs, DEFAULT_DB_ALIAS).order_by()
                found += [str(row.pk) for row in rows[:1]]
        return list(dict.fromkeys(found))[:_MOST_VALUES]

    def _look(
        self,
        template: str,
        method: str,
        where: str,
        *,
        sent: Sequence[str],
        nobody: str = "",
        **headers: Any,
    ) -> None:
        label = f"{method} {where}"
        with transaction.atomic():
            answer = self._request(method, where, **headers)
            # Everything is rolled back, so what was there at first is there each time.
            may_change = method not in _READS and answer.status_code not in (404, 405)
            has_changed = may_change and self._their_rows() != self._before
            transaction.set_rollback(True)
        self.walk.asked.append(f"{method} {template}")
        leaks = self.walk.leaks
        if answer.status_code == 429:
            leaks.append(Leak(where=label, what="answered 429, so nothing is proved"))
        elif answer.status_code >= 500 and not headers:
            leaks.append(Leak(where=label, what=f"answered {answer.status_code}"))
        leaks += [
            Leak(where=label, what=f"shows {mark!r}") for mark in self._shown(answer, sent)[:3]
        ]
        if has_changed:
            leaks.append(Leak(where=label, what="changed rows of the other tenant"))
        if nobody:
            with transaction.atomic():
                other = self._request(method, nobody, **headers)
                transaction.set_rollback(True)
            if other.status_code != answer.status_code:
                leaks.append(
                    Leak(
                        where=label,
                        what=f"answers {answer.status_code} for an object of the other tenant,"
                        f" and {other.status_code} for none: it tells which there are",
                    )
                )

    def _request(self, method: str, where: str, **headers: Any) -> HttpResponseBase:
        if method in _READS:
            answer: HttpResponseBase = self._client.generic(method, where, **headers)
            return answer
        return self._client.generic(
            method, where, data="{}", content_type="application/json", **headers
        )

    def _shown(self, answer: Any, sent: Sequence[str]) -> list[str]:
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        text = body.decode("utf-8", "replace") + "\n".join(map(str, answer.headers.values()))
        for one in sent:
            # What was asked for may be repeated.
            text = text.replace(one, "")
        return sorted(mark for mark in self._marks if mark in text)

    def _their_rows(self) -> dict[str, list[Any]]:
        return {
            model._meta.label: sorted(
                map(repr, _rows_of(model, self._theirs, DEFAULT_DB_ALIAS).order_by().values_list())
            )
            for model in self._models
        }


def _texts(models: Collection[type[Model]], side: Side) -> set[str]:
    """Return the texts of a side's rows that are long enough to be known again."""
    found: set[str] = set()
    for model in models:
        names = [
            one.attname
            for one in model._meta.concrete_fields
            if isinstance(one, (CharField, TextField)) and not one.choices
        ]
        if names:
            for row in _rows_of(model, side, DEFAULT_DB_ALIAS).order_by().values_list(*names):
                found |= {text for text in row if text and len(text) >= _SHORTEST_MARK}
    return found


def _changed(value: str) -> str:
    """Return another value of the same shape, which nobody has."""
    if value.isdigit():
        return str(int(value) + 1_000_000_007)
    swapped = "0" if value[-1] != "0" else "1"
    return value[:-1] + swapped


def _filled(template: str, values: Sequence[str]) -> str:
    left = iter(values)
    return _PLACEHOLDER.sub(lambda _: next(left), template)
