"""How modules and functions are named, sized, documented and made public."""

from __future__ import annotations

import ast
import re

import pytest

#: Names that say nothing of what a module hides.
_FORBIDDEN = {
    *("base", "common", "constants", "helper", "helpers", "manager", "managers", "misc"),
    *("service", "services", "util", "utils"),
}
_MAX_LINES = 500
_MAX_FUNCTION_LINES = 50
#: Longer than a function should be, each for the reason given.
_LONG_FUNCTIONS: dict[str, str] = {}
#: Modules whose public names are found by pluggy or Django, not imported by name.
_WITHOUT_ALL = re.compile(
    r"claimkit\.(builtins|hookspecs|__main__)|claimkit_django\.(.*\.)?(apps|migrations|urls)(\..*)?"
)


def _functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _defined(tree):
    """Yield the public names that a module itself defines with ``def`` and ``class``."""
    for node in tree.body:
        is_definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if is_definition and not node.name.startswith("_"):
            yield node.name


def _all_of(tree):
    """Return the names in ``__all__``, those added later included; None if there is none."""
    names = None
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = any(isinstance(one, ast.Name) and one.id == "__all__" for one in targets)
        if isinstance(node, ast.Assign | ast.AugAssign) and named:
            names = {*(names or ()), *ast.literal_eval(node.value)}
    return names


def test_no_module_is_a_drawer_for_everything(sources):
    vague = [one.module for one in sources if _FORBIDDEN & set(one.module.split("."))]

    assert vague == []


def test_a_module_is_short_enough_to_be_read(source):
    if source.is_migration:
        pytest.skip("migrations are as long as the schema")

    assert source.lines <= _MAX_LINES


def test_a_function_does_one_thing(source):
    long = {
        f"{source.module}.{one.name}"
        for one in _functions(source.tree)
        if one.end_lineno - _first_line(one) + 1 > _MAX_FUNCTION_LINES
    }

    assert long - _LONG_FUNCTIONS.keys() == set()


def _first_line(function):
    """Return where the code begins: a docstring may be as long as it must."""
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first.end_lineno + 1
    return function.lineno


def test_every_public_object_says_what_it_is(source):
    silent = []
    if ast.get_docstring(source.tree) is None and source.path.stat().st_size:
        silent.append(source.module)
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            silent += _silent(node, source.module)
    if source.is_migration:
        silent = []

    assert silent == []


def _silent(node, where):
    if node.name.startswith("_"):
        return
    name = f"{where}.{node.name}"
    if ast.get_docstring(node) is None:
        yield name
    if isinstance(node, ast.ClassDef):
        for one in node.body:
            # The name of a test is its claim.
            is_function = isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and not one.name.startswith("test_"):
                yield from _silent(one, name)


def test_all_names_what_is_public(source):
    """A module with public names has ``__all__``; outside Django's furniture, it has them all.

    Serializers, filters, inlines and checks of a Django room are found by the class beside them.
    """
    if _WITHOUT_ALL.fullmatch(source.module) or not list(_defined(source.tree)):
        pytest.skip("nothing here is imported by name")

    names = _all_of(source.tree)

    assert names is not None
    if not source.module.startswith("claimkit_django."):
        assert set(_defined(source.tree)) - names == set()


def test_modules_say_why_not_when_or_who(source):
    """No leftovers: work to do, commented-out authors, banners."""
    text = source.path.read_text(encoding="utf-8")

    assert re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", text) == []
    assert re.findall(r"^\s*# ?={5,}", text, re.MULTILINE) == []
