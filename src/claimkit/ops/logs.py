"""Logs that machines read and nobody's personal details get into.

Safe by construction first: messages are constants, further fields pass only when their name is
allowed, an exception of others is told by its class and place and not by its text, and objects by
their class. Then :func:`claimkit.claims.privacy.scrub` goes over whatever is left, as a backstop.

:class:`JsonFormatter` writes one JSON object a line; :class:`ScrubFilter` is the backstop alone, for
hosts that keep their own formatter.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import logging
import math
import traceback
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from claimkit.claims.privacy import Phi, scrub
from claimkit.errors import ClaimkitError
from claimkit.tenants import current_tenant, in_tenant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from claimkit.types import Json

__all__ = [
    "FIELDS",
    "JsonFormatter",
    "ScrubFilter",
    "log_context",
    "scrub_value",
    "tenant_hash",
    "use_log_context",
]

#: Names of the fields that claimkit logs; none holds anything about a patient.
FIELDS: Final = frozenset(
    {"action", "actor", "alert", "attempts", "backtest", "cells", "channel", "check", "claims", "delivery", "export",
     "files", "found", "kind", "listener", "mapping", "new", "plugin", "reason", "receiver", "report", "request_id", "rule",
     "schedule", "severity", "source", "span_id", "status_code", "task", "task_id", "tenant", "topic",
     "trace_id", "upload"}
)  # fmt: skip
#: Loggers whose arguments are the data themselves: only their constant message is kept.
_WITHOUT_ARGUMENTS: Final = ("django.db.backends", "psycopg", "sqlalchemy")
#: Longest text that is looked through; what is longer is cut, so that no line costs more than this.
_MAX_TEXT: Final = 16_384
#: After a cut, so much is dropped: half a telephone number is still most of one.
_CUT_MARGIN: Final = 64
_MAX_ITEMS: Final = 20
_MAX_DEPTH: Final = 4
_MAX_CAUSES: Final = 5
#: What every record has; the rest came by ``extra=``.
_STANDARD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})

_context: ContextVar[Mapping[str, str] | None] = ContextVar("claimkit_log_context", default=None)


def log_context() -> dict[str, str]:
    """Return what the work in hand belongs to: the tenant's key, and what was entered."""
    found = dict(_context.get() or {})
    if in_tenant():
        found["tenant"] = str(current_tenant())
    return found


@contextmanager
def use_log_context(**fields: str) -> Iterator[None]:
    """Put ``fields`` on every line that the block logs, such as ``task="claimkit.drift.watch"``.

    >>> with use_log_context(task="import"), use_log_context(task_id="7"):
    ...     log_context()
    {'task': 'import', 'task_id': '7'}
    """
    token = _context.set({**(_context.get() or {}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def tenant_hash(tenant: str, *, secret: str = "") -> str:
    """Return what stands for a tenant where its key must not: 12 hex digits, the same each time.

    Args:
        tenant: The tenant's key.
        secret: Whoever does not know it cannot find the key by trying names; ``SECRET_KEY`` of a site.
    """
    key = hashlib.sha256(b"claimkit.metrics:" + secret.encode()).digest()
    return hmac.new(key, tenant.encode(), hashlib.sha256).hexdigest()[:12]


def scrub_value(value: object) -> Json:
    """Return a value as JSON without personal details, for what leaves the process besides logs.

    Texts are scrubbed and cut, mappings and sequences are cut after 20 members and 4 levels, objects
    and exceptions are told by their class. No pattern finds a bare name: leave out what may hold one.

    >>> scrub_value({"ssn": 417093355, "upload": "upl_spip", "call": "415-555-0123"})
    {'ssn': '[removed]', 'upload': 'upl_spip', 'call': '[removed]'}
    """
    return _shown(value)


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON in ASCII.

    ``timestamp`` (UTC), ``level``, ``logger``, ``message``; then the context; then the fields of
    ``extra=`` that are allowed; ``exception`` with ``type``, ``code``, ``message`` and ``traceback``;
    and in ``left_out`` the names of fields that are not allowed.

    Args:
        fields: Names of further fields that the host allows.
        exception_text: Also write the text of exceptions that are not claimkit's, scrubbed. It may
            repeat any value, and no pattern finds a bare name: for development.
        without_arguments: Further loggers of which only the constant message is kept.
    """

    def __init__(
        self,
        *,
        fields: Iterable[str] = (),
        exception_text: bool = False,
        without_arguments: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._fields = FIELDS | frozenset(fields)
        self._exception_text = exception_text
        self._bare = (*_WITHOUT_ARGUMENTS, *without_arguments)

    def context(self) -> Mapping[str, str]:
        """Return what the work in hand belongs to; for subclasses that know more."""
        return log_context()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Json] = {
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._message(record),
        }
        line |= {name: _shown(value) for name, value in self.context().items() if value}
        extras = _extras(record)
        for name in sorted(extras.keys() & self._fields):
            # A filter may have put an empty id on the record.
            if name not in line or extras[name]:
                line[name] = _shown(extras[name])
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _exception(record.exc_info[1], with_text=self._exception_text)
        elif record.exc_text:
            line["exception"] = {"traceback": _text(record.exc_text)}
        if record.stack_info:
            line["stack"] = _text(record.stack_info)
        left_out = sorted(extras.keys() - self._fields)
        if left_out:
            line["left_out"] = [_text(name) for name in left_out[:_MAX_ITEMS]]
        return json.dumps(line, ensure_ascii=True, allow_nan=False)

    def _message(self, record: logging.LogRecord) -> str:
        is_bare = any(record.name == one or record.name.startswith(f"{one}.") for one in self._bare)
        return _text(str(record.msg)) if is_bare else _message(record)


class ScrubFilter(logging.Filter):
    """Takes personal details out of a record's message, arguments, fields and traceback.

    For handlers with a formatter of the host's; changes the record, so that handlers after it see
    it scrubbed too. Fields that are objects stay as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub the record and let it pass."""
        record.msg, record.args = _message(record), None
        for name, value in _extras(record).items():
            if isinstance(value, str | Phi | Mapping | list | tuple | set | frozenset):
                setattr(record, name, _shown(value))
        if record.exc_info and record.exc_info[1] is not None:
            # Formatters take a text that is there already.
            record.exc_text = _traceback(record.exc_info[1], with_text=True)
        elif record.exc_text:
            record.exc_text = _text(record.exc_text)
        if record.stack_info:
            record.stack_info = _text(record.stack_info)
        return True


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _message(record: logging.LogRecord) -> str:
    """Return the message with its arguments, of which only plain values are shown."""
    template = str(record.msg)
    if not record.args:
        return _text(template)
    arguments: Any = record.args
    try:
        if isinstance(arguments, Mapping):
            return _text(template % {key: _argument(value) for key, value in arguments.items()})
        return _text(template % tuple(map(_argument, arguments)))
    except (TypeError, ValueError, KeyError):
        # Wrong arguments must not lose the line, nor print themselves.
        return _text(template)


def _argument(value: Any) -> Any:
    return value if isinstance(value, int | float | Phi) else _shown(value)


def _shown(value: Any, depth: int = 0) -> Json:
    """Return a value as JSON without personal details; objects by their class only."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Enum):
        return _shown(value.value, depth)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal | UUID | dt.date | dt.time | dt.timedelta):
        return str(value)
    if isinstance(value, Phi):
        return str(value)
    if isinstance(value, BaseException):
        return _told(value, with_text=False)
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            items = list(value.items())[:_MAX_ITEMS]
            return {_key(name): _member(name, one, depth) for name, one in items}
        if isinstance(value, list | tuple | set | frozenset):
            return [_shown(one, depth + 1) for one in list(value)[:_MAX_ITEMS]]
    return f"<{type(value).__name__}>"


def _key(name: object) -> str:
    return _text(name) if isinstance(name, str) else str(_shown(name, _MAX_DEPTH))


def _member(name: object, value: object, depth: int) -> Json:
    """Return a member of a mapping: what its name says of it counts too."""
    if isinstance(value, str | int) and isinstance(name, str):
        told = f"{name}={value}"
        if len(told) <= _MAX_TEXT and scrub(told) != told:
            return str(Phi(value))
    return _shown(value, depth + 1)


def _text(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return scrub(text)
    return f"{scrub(text[:_MAX_TEXT])[:-_CUT_MARGIN]}… [cut]"


def _exception(error: BaseException, *, with_text: bool) -> dict[str, Json]:
    found: dict[str, Json] = {"type": _class_of(error)}
    if isinstance(error, ClaimkitError):
        found["code"] = error.code
    text = _words(error, with_text=with_text)
    if text:
        found["message"] = text
    return {**found, "traceback": _traceback(error, with_text=with_text)}


def _traceback(error: BaseException, *, with_text: bool) -> str:
    """Return where it came from and what caused it, without values of variables."""
    parts = []
    for one in _chain(error):
        stack = "".join(traceback.format_list(traceback.extract_tb(one.__traceback__)))
        parts.append(f"{stack}{_told(one, with_text=with_text)}")
    return _text("\n\nThen:\n\n".join(reversed(parts)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen and len(seen) < _MAX_CAUSES:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _told(error: BaseException, *, with_text: bool) -> str:
    text = _words(error, with_text=with_text)
    told = f"{_class_of(error)}: {text}" if text else _class_of(error)
    if isinstance(error, BaseExceptionGroup):
        inner = "; ".join(_told(one, with_text=with_text) for one in error.exceptions[:_MAX_ITEMS])
        return f"{told} [{inner}]"
    return told


def _words(error: BaseException, *, with_text: bool) -> str:
    """Return what may be said: our own texts are public, the system's are its constants."""
    if isinstance(error, ClaimkitError) or (
        with_text and not isinstance(error, BaseExceptionGroup)
    ):
        return _text(str(error))
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        return _text(str(error.strerror))
    state = getattr(error, "sqlstate", None)
    return f"SQLSTATE {state}" if isinstance(state, str) and len(state) == 5 else ""


def _class_of(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
