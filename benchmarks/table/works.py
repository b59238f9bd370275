"""Pieces of work for the table, each measured in a process of its own: ``works.py NAME URL FILE SERVER``.

Prints one JSON object: how many ``units`` were done, CPU seconds of ``client`` and ``server``, and
``peak_mb``. Setting up is not part of it. "Usual" is what a Django site without claimkit would write for
the same; "bare" is the least that the tool below can do it with.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_BENCHMARKS.parent), str(_BENCHMARKS / "api"), str(_BENCHMARKS / "imports")]

import asking  # noqa: E402
import keeping  # noqa: E402
from cpu import peak_megabytes  # noqa: E402
from work import Work  # noqa: E402


def main() -> None:
    name, url, file, postmaster = sys.argv[1:]
    work = Work(url, Path(file), postmaster)
    told = {**vars(keeping), **vars(asking)}[name](work) or {}
    print(json.dumps({**told, "peak_mb": round(peak_megabytes(), 1)}))


if __name__ == "__main__":
    main()
