"""The examiner of this process: the checks of all apps, asked in threads with their own connections."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connections

from claimkit.ops.health import Examiner
from claimkit_django.conf import config
from claimkit_django.vitals import health_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Checkup

__all__ = ["examine", "examine_readiness"]


@contextmanager
def _own_connections() -> Iterator[None]:
    try:
        yield
    finally:
        connections.close_all()


class _Made:
    """The examiner, made when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._examiner: Examiner | None = None

    def examiner(self) -> Examiner:
        with self._lock:
            if self._examiner is None:
                self._examiner = Examiner(
                    health_checks(DEFAULT_DB_ALIAS),
                    seconds=config().ops.check_seconds,
                    keep_seconds=config().ops.keep_seconds,
                    scope=_own_connections,
                )
            return self._examiner

    def forget(self, *, setting: str, **_kwargs: Any) -> None:
        if setting in ("CLAIMKIT", "CACHES", "DATABASES", "INSTALLED_APPS"):
            with self._lock:
                self._examiner = None


_made = _Made()
setting_changed.connect(_made.forget, dispatch_uid="claimkit_examiner")


def examine() -> Checkup:
    """Ask all checks; returns within ``OPS.CHECK_SECONDS``."""
    return _made.examiner().examine()


def examine_readiness() -> Checkup:
    """Ask the checks of ``OPS.READY``, for every alias of databases and caches."""
    examiner, ready = _made.examiner(), config().ops.ready
    return examiner.examine([one for one in examiner.names if one.partition(":")[0] in ready])
