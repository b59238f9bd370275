"""What of an event of Sentry may leave: a list of what is allowed, not of what is forbidden.

No pattern finds a bare name, so nothing is sent that may hold one: no request body, query, address,
header or cookie, no variable, no line of source, no text of an exception or of a log of others, no
SQL, no breadcrumb but claimkit's own. What is left is a stack of functions with lines, classes and
codes; :func:`claimkit.ops.logs.scrub_value` goes over it as a backstop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from claimkit.errors import ClaimkitError
from claimkit.ops.logs import FIELDS, log_context, scrub_value, tenant_hash

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Scrubber"]

_EVENT: Final = ("event_id", "timestamp", "start_timestamp", "level", "platform", "logger", "type",
                 "release", "environment", "dist", "sdk", "fingerprint")  # fmt: skip
_FRAME: Final = ("filename", "module", "function", "lineno", "in_app")
_SPAN: Final = ("op", "trace_id", "span_id", "parent_span_id", "start_timestamp", "timestamp",
                "status", "origin", "same_process_as_parent")  # fmt: skip
_CONTEXTS: Final = {"runtime": ("name", "version"), "os": ("name", "version"), "trace": _SPAN}
#: Where the name of a transaction is a pattern of the code and not an address that somebody typed.
_NAMED_BY_CODE: Final = frozenset({"route", "component", "view", "task"})
#: Set from the work in hand; the key of a tenant is told by its hash.
_TENANT: Final = "tenant"
_LEFT_OUT: Final = "[left out]"


class Scrubber:
    """Makes of an event what may leave.

    Args:
        secret: By which the hash of a tenant's key is made.
        loggers: Names of loggers, beside claimkit's, whose messages are constants of the code.
    """

    def __init__(self, *, secret: str = "", loggers: Collection[str] = ()) -> None:
        self._secret = secret
        self._loggers = ("claimkit", "claimkit_django", *loggers)

    def event(self, event: Mapping[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
        """Return an error or a transaction as it may be sent; attachments are dropped."""
        hint["attachments"] = []
        sent = _picked(event, _EVENT)
        sent["tags"] = self._tags(event)
        sent["contexts"] = {
            name: _picked(_mapping(event.get("contexts", {}).get(name)), kept)
            for name, kept in _CONTEXTS.items()
        }
        if "exception" in event:
            told = self._told(hint)
            values = _values(event["exception"])
            sent["exception"] = {"values": [_exception(one, told) for one in values]}
        if "logentry" in event or "message" in event:
            sent["logentry"] = {"message": self._message(event)}
        if "breadcrumbs" in event:
            kept = [self.breadcrumb(one, {}) for one in _values(event["breadcrumbs"])]
            sent["breadcrumbs"] = {
                "values": [
                    {**one, "data": _hashed(one["data"], self._secret)}
                    for one in kept
                    if one is not None
                ]
            }
        if "spans" in event:
            sent["spans"] = [_picked(one, _SPAN) for one in event["spans"]]
        info = _mapping(event.get("transaction_info"))
        if "transaction" in event:
            is_code = info.get("source") in _NAMED_BY_CODE
            sent["transaction"] = scrub_value(event["transaction"]) if is_code else _LEFT_OUT
            sent["transaction_info"] = {"source": "custom"}
        method = _mapping(event.get("request")).get("method")
        if method:
            sent["request"] = {"method": scrub_value(method)}
        return sent

    def breadcrumb(self, crumb: Mapping[str, Any], hint: object) -> dict[str, Any] | None:
        """Return one of claimkit's breadcrumbs, None of any other."""
        del hint
        if not self._is_ours(str(crumb.get("category", ""))):
            return None
        kept = _picked(crumb, ("type", "category", "level", "timestamp", "message"))
        crumbs = _mapping(crumb.get("data")).items()
        # Kept in this process with the tenant's key; the event that takes it out has the hash.
        kept["data"] = {name: one for name, one in crumbs if name in FIELDS}
        return kept

    def _tags(self, event: Mapping[str, Any]) -> dict[str, Any]:
        # Fields of claimkit's own log lines are words of the code and public ids.
        extra = _mapping(event.get("extra")) if self._is_ours(str(event.get("logger", ""))) else {}
        known = {name: one for name, one in extra.items() if name in FIELDS}
        return _hashed({**known, **log_context()}, self._secret)

    def _message(self, event: Mapping[str, Any]) -> Any:
        if not self._is_ours(str(event.get("logger", ""))):
            return _LEFT_OUT
        entry = _mapping(event.get("logentry"))
        # Without its parameters: the template is a constant.
        return scrub_value(entry.get("message") or event.get("message") or "")

    def _is_ours(self, logger: str) -> bool:
        return any(logger == one or logger.startswith(f"{one}.") for one in self._loggers)

    @staticmethod
    def _told(hint: Mapping[str, Any]) -> Mapping[str, str]:
        """Return class → text of the exceptions whose text is public: claimkit's own."""
        told: dict[str, str] = {}
        error = (hint.get("exc_info") or (None, None, None))[1]
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if isinstance(error, ClaimkitError):
                told[type(error).__name__] = f"{error.code}: {error}"
            error = error.__cause__ or error.__context__
        return told


def _exception(value: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
    kind = str(value.get("type"))
    frames = _mapping(value.get("stacktrace")).get("frames") or ()
    mechanism = _picked(_mapping(value.get("mechanism")), ("type", "handled"))
    return {
        "type": kind,
        "module": value.get("module"),
        "value": scrub_value(told[kind]) if kind in told else _LEFT_OUT,
        "mechanism": {"type": "generic", **mechanism},
        "stacktrace": {"frames": [_picked(one, _FRAME) for one in frames]},
    }


def _hashed(fields: Mapping[str, Any], secret: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: scrub_value(one) for name, one in fields.items()}
    if fields.get(_TENANT):
        found[_TENANT] = tenant_hash(str(fields[_TENANT]), secret=secret)
    return found


def _picked(value: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value[name] for name in names if name in value}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _values(value: object) -> list[Mapping[str, Any]]:
    """Return the members of what is a list, or an object with a list of ``values``."""
    found = value.get("values") if isinstance(value, dict) else value
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
