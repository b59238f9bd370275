"""Compare the speed of two builds of this repository on one machine, in turns.

The story: each build is a worktree of Git, served by the example on its own copy of the same
database; Locust asks base, head, head, base, …, so that a machine that slows down meanwhile slows
both; :mod:`gate` judges the ratios. Exit status: 0 no slower; 1 p95 is more than 20 % slower, or
2 points more requests fail (with ``--strict`` also p50, p99 and throughput); 2 nothing was measured.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from gate import Figures, judge  # noqa: E402


class Build:
    """One build with its copy of the database."""

    def __init__(self, name: str, tree: Path, folder: Path) -> None:
        self.name, self.tree, self.folder = name, tree, folder
        self.env = {
            **os.environ,
            "CLAIMKIT_DEMO_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "example.settings",
            # Before the installed one: both builds run in one environment.
            "PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree / "example_project")]),
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.tree / "example_project", env=self.env, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{self.name}: {arguments[0]} failed\n{done.stderr[-2000:]}")
        return done.stdout

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=self.tree / "example_project", env=self.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{url}/livez", server)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)

    def measure(self, options: argparse.Namespace) -> Figures:
        """Serve, ask for a while, and return what was measured."""
        password = (self.folder / "demo-password").read_text(encoding="ascii")
        out = self.folder / "run"
        with self.serving() as url:
            subprocess.run(
                [
                    *(sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py")),
                    *("--headless", "--only-summary", "--loglevel", "ERROR", "--host", url),
                    *("-u", str(options.users), "-r", str(options.users)),
                    *("-t", f"{options.seconds}s", "--csv", str(out)),
                ],
                env={**os.environ, "LOAD_USER": "northside-analyst", "LOAD_PASSWORD": password},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            return read_figures(Path(f"{out}_stats.csv"))


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise SystemExit("the server did not start")


def read_figures(path: Path) -> Figures:
    """Return Locust's line about everything."""
    with path.open(encoding="utf-8", newline="") as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    return Figures(
        p50=_number(total["50%"]),
        p95=_number(total["95%"]),
        p99=_number(total["99%"]),
        per_second=_number(total["Requests/s"]),
        requests=int(total["Request Count"]),
        errors=int(total["Failure Count"]),
    )


def _number(text: str) -> float:
    """Return what Locust wrote; it writes N/A where nothing was asked."""
    return 0.0 if text == "N/A" else float(text)


@contextlib.contextmanager
def tree_of(reference: str) -> Iterator[Path]:
    """Check a reference out beside this one; ``.`` is what is here."""
    if reference == ".":
        yield ROOT
        return
    folder = Path(tempfile.mkdtemp(prefix="claimkit-build-"))
    subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", str(folder / "tree"), reference],
        cwd=ROOT, check=True,
    )  # fmt: skip
    try:
        yield folder / "tree"
    finally:
        subprocess.run(
            ["git", "worktree", "remove", "--force", str(folder / "tree")], cwd=ROOT, check=False
        )
        shutil.rmtree(folder, ignore_errors=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--base", default="main", metavar="REF", help="what to compare with (main)")
    made.add_argument("--head", default=".", metavar="REF", help="what to judge (what is here)")
    made.add_argument("--rounds", type=int, default=4, help="pairs of runs (4)")
    made.add_argument("--seconds", type=int, default=15, help="of each run (15)")
    made.add_argument("--users", type=int, default=5, help="at the same time (5)")
    made.add_argument("--scale", type=float, default=0.1, help="of the demo's claims (0.1)")
    made.add_argument("--strict", action="store_true", help="what would warn fails")
    made.add_argument("--save", type=Path, metavar="FILE", help="write all figures as JSON")
    made.add_argument("--format", choices=("text", "json"), default="text")
    return made


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    with (
        tree_of(options.base) as old,
        tree_of(options.head) as new,
        tempfile.TemporaryDirectory(prefix="claimkit-load-") as work,
    ):
        base = Build("base", old, Path(work) / "base")
        base.run("demo.py", "--scale", str(options.scale))
        shutil.copytree(base.folder, Path(work) / "head")
        head = Build("head", new, Path(work) / "head")
        head.run("-m", "django", "migrate", "-v0")
        pairs: list[tuple[Figures, Figures]] = []
        for number in range(options.rounds):
            # The order changes: whoever comes second finds warmer caches.
            order = (base, head) if number % 2 == 0 else (head, base)
            found = {one.name: one.measure(options) for one in order}
            pairs.append((found["base"], found["head"]))
    return tell(pairs, options)


def tell(pairs: list[tuple[Figures, Figures]], options: argparse.Namespace) -> int:
    try:
        verdicts = judge(pairs, strict=options.strict)
    except ValueError as error:
        print(f"NOT MEASURED: {error}", file=sys.stderr)
        return 2
    told = {
        "verdicts": [asdict(one) for one in verdicts],
        "pairs": [{"base": asdict(base), "head": asdict(head)} for base, head in pairs],
    }
    if options.save:
        options.save.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.format == "json":
        print(json.dumps(told))
    else:
        for base, head in pairs:
            print(
                f"p50 {base.p50:.0f} → {head.p50:.0f} ms, p95 {base.p95:.0f} → {head.p95:.0f} ms, "
                f"{base.per_second:.0f} → {head.per_second:.0f}/s, errors {base.errors} → {head.errors}"
            )
        for one in verdicts:
            print(f"{one.level:5} {one.measure:11} {one.ratio} (limit {one.limit})")
    return 1 if any(one.level == "fail" for one in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
