"""Flower, which shows what workers do and can stop it: for whoever knows a password, or for nobody.

``FLOWER_BASIC_AUTH`` is ``name:password``, with 12 characters of password at least::

    FLOWER_BASIC_AUTH=operator:… celery -A example flower --conf=flowerconfig.py

Flower itself asks nobody who they are unless it is told to; this file lets it not even start then.
"""

from __future__ import annotations

import os

_LEAST = 12
_name, _, _password = os.environ.get("FLOWER_BASIC_AUTH", "").partition(":")
if not _name or len(_password) < _LEAST:
    raise SystemExit(
        f"FLOWER_BASIC_AUTH must be name:password, with {_LEAST} characters of password at least"
    )

basic_auth = [f"{_name}:{_password}"]
address = "127.0.0.1"
port = 5555


def format_task(task):  # type: ignore[no-untyped-def]
    """Show who runs what and how long it takes, and not what with."""
    task.args = task.kwargs = "…"
    return task
