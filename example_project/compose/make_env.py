#!/usr/bin/env python3
"""Writes ``.env`` beside this file: a password of its own for each server, for this machine only.

What is there already is left as it is, since databases keep the passwords that they began with.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

NAMES = (
    *("POSTGRES_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY", "OPS_TOKEN"),
    *("FLOWER_PASSWORD", "GRAFANA_PASSWORD"),
)


def main(path: Path) -> int:
    """Write the file, readable by its owner only, or say that it is there."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{path} is there already, and stays as it is")
        return 0
    with os.fdopen(file, "w", encoding="ascii") as made:
        made.writelines(f"{name}={secrets.token_urlsafe(32)}\n" for name in NAMES)
    print(f"wrote {path}: the passwords of Flower (operator) and Grafana (admin) are in it")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / ".env")))
