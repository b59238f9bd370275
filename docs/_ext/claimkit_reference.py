"""Reference pages made from the source, so that they cannot tell anything else.

Each function returns one Markdown text; when a build begins, they are written to
``reference/_generated/`` and the pages of the reference include them.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import inspect
import textwrap
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from sphinx.pycode import ModuleAnalyzer

from claimkit import cli, config, errors, events, hookspecs
from claimkit.claims import columns
from claimkit.claims.remarks import REMARK_CATEGORIES
from claimkit.ops import metrics, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sphinx.application import Sphinx

#: Our own words for our own categories of claim adjustment reasons.
CATEGORIES = {
    "appeal": "The answer to an appeal or a reconsideration.",
    "authorization_referral": "No authorization, precertification or referral, or not for this.",
    "benefit_limit_exclusion": "The plan does not cover it, or its limit is reached.",
    "bundling": "Part of another service that was paid or decided.",
    "coding_billing": "A code, modifier, unit, place or form that does not fit.",
    "contractual": "What contract or fee schedule takes off; nobody owes it.",
    "duplicate": "The payer has the claim already; stays out of denial rates.",
    "eligibility": "The person was not covered, or not known.",
    "informational": "Says something about the claim and takes nothing.",
    "medical_necessity": "Not deemed necessary, or not at this level or frequency.",
    "missing_info_docs": "Something is missing or wrong: information, records, a form.",
    "other_payer_cob": "Another payer should pay first, or the order of payers is unclear.",
    "paid_elsewhere": "Paid under another arrangement.",
    "patient_share": "Deductible, coinsurance, copayment and the like.",
    "pended": "Not decided yet; stays out of denial rates.",
    "prior_payer_impact": "What an earlier payer paid or took off.",
    "property_casualty": "Workers' compensation, auto and liability claims.",
    "provider_network": "The provider may not bill this, or is not in the network.",
    "quality_penalty": "Taken off by a quality or reporting program.",
    "timely_filing": "Sent too late.",
    "unspecified_denial": "Denied, and the payer gave no reason that says why.",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the generated parts before Sphinx reads any page."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference" / "_generated"
    folder.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path = folder / f"{name}.md"
        text = "\n".join(make()) + "\n"
        # Left alone when nothing changed, so that the next build is quick.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def hooks() -> Iterator[str]:
    """Every hook of :mod:`claimkit.hookspecs`."""
    for name, hook in inspect.getmembers(hookspecs, inspect.isfunction):
        if not hasattr(hook, "claimkit_spec"):
            continue
        first = hook.claimkit_spec["firstresult"]
        yield f"## {name}\n"
        yield from _rst(f".. autofunction:: claimkit.hookspecs.{name}")
        yield (
            "The first plugin that returns something other than `None` decides.\n"
            if first
            else "What all plugins return is collected.\n"
        )


def settings() -> Iterator[str]:
    """Every setting, with its type, its default and its comment."""
    for room in dataclasses.fields(config.Config):
        kind: Any = room.default_factory
        yield f"## {room.name.upper()}\n"
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            made = field.default_factory is not dataclasses.MISSING
            default = field.default_factory() if made else field.default
            yield f"### {room.name.upper()}.{field.name.upper()}\n"
            yield f"Type `{_type(hints[field.name])}`, default `{default!r}`.\n"
            yield from _rst(_comment(kind, field.name))


def error_tree() -> Iterator[str]:
    """Every class of the error tree by its code."""
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not (inspect.isclass(kind) and issubclass(kind, errors.ClaimkitError)):
            continue
        yield f"### {kind.code}\n"
        yield from _rst(f".. autoclass:: claimkit.errors.{name}\n   :no-members:\n   :no-index:")
        if kind.remedy:
            yield f"Remedy, where the raiser knows no better one: {kind.remedy}.\n"


def event_topics() -> Iterator[str]:
    """Every event by its topic, with what it carries."""
    for name in events.__all__:
        kind = getattr(events, name)
        if not (inspect.isclass(kind) and issubclass(kind, events.Event) and kind.topic):
            continue
        yield f"## {kind.topic}\n"
        yield from _rst(
            f".. autoclass:: claimkit.events.{name}\n   :no-members:\n   :no-show-inheritance:"
        )
        carried = ", ".join(f"`{one.name}`" for one in dataclasses.fields(kind))
        yield f"Carries {carried}.\n"


def series() -> Iterator[str]:
    """Every series of the metrics."""
    yield "| series | kind | labels | tells |\n| --- | --- | --- | --- |"
    for one in metrics.SERIES.values():
        labels = ", ".join(f"`{label}`" for label in one.labels)
        mark = " ◇" if one.per_tenant else ""
        yield f"| `{one.name}`{mark} | {one.kind} | {labels} | {one.help} |"


def alerting() -> Iterator[str]:
    """Every alert rule for Prometheus."""
    yield "| alert | when | severity | do |\n| --- | --- | --- | --- |"
    for one in rules.alert_rules():
        summary = one.summary.replace("{{ $labels.", "‹").replace(" }}", "›")
        yield f"| `{one.name}` | {summary} For {one.lasts}. | {one.severity} | {one.action} |"


def commands() -> Iterator[str]:
    """The commands of ``claimkit`` and their arguments."""
    parser = cli._parser()
    group = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    for name, command in group.choices.items():
        yield f"### claimkit {name}\n"
        yield from _arguments(command)


def management_commands() -> Iterator[str]:
    """The management commands of the Django apps and their arguments."""
    from django.core.management import get_commands, load_command_class

    for name, app in sorted(get_commands().items()):
        if not app.startswith("claimkit_django"):
            continue
        command = load_command_class(app, name)
        parser = command.create_parser("manage.py", name)
        yield f"### manage.py {name}\n"
        yield f"{command.help}\n"
        yield f"Comes with `{app}`.\n"
        acts = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not acts:
            yield from _arguments(parser, common=_common())
        for act in acts:
            for verb, inner in act.choices.items():
                yield f"#### {name} {verb}\n"
                yield from _arguments(inner, common=_common())


def categories() -> Iterator[str]:
    """Our categories of claim adjustment reasons with the codes in each."""
    codes: dict[str, list[str]] = defaultdict(list)
    is_denial: dict[str, str] = {}
    source = resources.files("claimkit.claims") / "data" / "carc_categories.tsv"
    with source.open(encoding="ascii") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            codes[row["category"]].append(row["carc"])
            is_denial[row["category"]] = row["denial_when_unpaid"]
    for category in sorted(codes):
        yield f"## {category}\n"
        yield f"{CATEGORIES[category]}\n"
        said = "A denial where nothing was paid." if is_denial[category] == "yes" else "No denial."
        yield f"{said} {len(codes[category])} codes: {', '.join(codes[category])}.\n"


def remark_categories() -> Iterator[str]:
    """The categories of remark codes, with the codes that the plugin payers-us knows."""
    from claimkit_payers_us.plugin import UsRemarkCodes

    codes: dict[str, list[str]] = defaultdict(list)
    for code, category in UsRemarkCodes().categories().items():
        codes[category].append(code)
    for category, said in REMARK_CATEGORIES.items():
        yield f"## {category}\n"
        yield f"{said}\n"
        yield f"{len(codes[category])} codes: {', '.join(codes[category])}.\n"


def procedure_groups() -> Iterator[str]:
    """The groups of procedure codes as ranges."""
    ranges: dict[str, list[str]] = defaultdict(list)
    source = resources.files("claimkit.claims") / "data" / "procedure_groups.tsv"
    with source.open(encoding="ascii") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            ranges[row["group"]].append(f"{row['first']}–{row['last']}")
    yield "| group | codes |\n| --- | --- |"
    for group, told in sorted(ranges.items()):
        yield f"| {group} | {', '.join(told)} |"


def csv_fields() -> Iterator[str]:
    """Canonical fields of a CSV and the headers that stand for them."""
    yield "| field | headers |\n| --- | --- |"
    for name, aliases in columns._ALIASES.items():
        yield f"| `{name}` | {aliases} |"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "hooks": hooks,
    "settings": settings,
    "metrics": series,
    "alert-rules": alerting,
    "errors": error_tree,
    "events": event_topics,
    "commands": commands,
    "management-commands": management_commands,
    "carc-categories": categories,
    "procedure-groups": procedure_groups,
    "remark-categories": remark_categories,
    "csv-fields": csv_fields,
}


def _rst(text: str) -> Iterator[str]:
    yield f"```{{eval-rst}}\n{textwrap.dedent(text)}\n```\n"


def _comment(kind: type, attribute: str) -> str:
    """Return the ``#:`` comment of a class attribute."""
    comments = ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
    return " ".join(comments[kind.__qualname__, attribute]).strip()


def _type(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)


def _common() -> set[str]:
    """Return the options that every management command has."""
    from django.core.management.base import BaseCommand

    parser = BaseCommand().create_parser("manage.py", "any")
    return {one for action in parser._actions for one in action.option_strings}


def _arguments(parser: argparse.ArgumentParser, *, common: set[str] = frozenset()) -> Iterator[str]:
    if parser.description and not common:
        yield f"{parser.description}\n"
    yield "| argument | meaning |\n| --- | --- |"
    for action in parser._actions:
        if "--help" in action.option_strings or set(action.option_strings) & common:
            continue
        shown = ", ".join(action.option_strings) or action.metavar or action.dest
        value = action.metavar or (action.choices and "|".join(map(str, action.choices))) or ""
        if action.option_strings and value and action.nargs != 0:
            shown = f"{shown} {value}"
        help_text = (action.help or "").replace("|", "\\|")
        escaped = str(shown).replace("|", "\\|")
        yield f"| `{escaped}` | {help_text} |"
    yield ""
