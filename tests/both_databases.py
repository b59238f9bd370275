"""Runs pytest twice, on SQLite and on PostgreSQL: ``python -m tests.both_databases ARGUMENTS``.

Slow tests run on PostgreSQL only, unless the arguments choose by markers.
"""

from __future__ import annotations

import os
import subprocess
import sys


def main(arguments: list[str]) -> int:
    """Return the worst exit status of the two runs; both always run."""
    statuses = []
    for database in ("sqlite", "postgres"):
        print(f"tests on {database}", flush=True)
        chosen = ["-m", "not slow"] if database == "sqlite" and "-m" not in arguments else []
        command = [sys.executable, "-m", "pytest", "-p", "tests.postgres", *chosen, *arguments]
        environment = {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            **os.environ,
            "CLAIMKIT_TEST_DATABASE": database,
        }
        statuses.append(subprocess.run(command, check=False, env=environment).returncode)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
