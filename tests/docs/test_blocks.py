"""Every block of the tutorials and how-to guides is run, in order, as a reader would run it.

In a ``console`` block, what follows ``$`` is run and must succeed; lines below it are what it must
print, where ``...`` stands for anything. A ``console`` block of class ``another-terminal`` runs on
beside the rest; what comes after it may take a while to come true. A ``python`` block runs in one
namespace per page, as doctest where it has prompts. A block with a caption is a file: written, or
put at its end where the caption says so. What else there is, is only shown.
"""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"_build", "_generated"} & set(path.relative_to(DOCS).parts)
)
SHOWN_ONLY = {"text", "json", "eval-rst", "toctree", "include", "mermaid", "", "note"}
_FENCE = re.compile(r"^```(?P<opening>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Block:
    language: str
    caption: str
    is_background: bool
    text: str


def blocks(path):
    for match in _FENCE.finditer(path.read_text(encoding="utf-8")):
        opening, body = match["opening"].strip(), match["body"]
        options = dict(re.findall(r"^:(\w+): (.+)\n", body, re.MULTILINE))
        directive = re.fullmatch(r"\{(?:code-block|literalinclude)\} *(\w+)", opening)
        language = directive[1] if directive else opening.strip("{}").split(" ")[0].rstrip("}")
        text = re.sub(r"\A(?::\w+: .+\n)+\n?", "", body) if directive else body
        yield Block(
            language=language,
            caption=options.get("caption", ""),
            is_background=options.get("class") == "another-terminal",
            text=text,
        )


def runs(path):
    return any(one.language in {"console", "python"} for one in blocks(path))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_blocks_are_of_a_kind_that_is_run_or_shown(page):
    for one in blocks(page):
        is_file = bool(one.caption)
        assert is_file or one.language in {"console", "python"} | SHOWN_ONLY, one


@pytest.mark.parametrize(
    "page",
    [path for path in PAGES if runs(path)],
    ids=lambda path: str(path.relative_to(DOCS).with_suffix("")),
)
def test_every_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Reader(tmp_path) as reader:
        if page.stem == "use-postgresql":
            reader.has_postgresql()
        for one in blocks(page):
            reader.follow(one)


class Reader:
    """Somebody at a terminal of their own, in an empty folder."""

    def __init__(self, folder):
        self._folder = folder
        self._namespace = {"__name__": "__main__"}
        self._background = []
        self._environment = self._make_environment(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._background:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)

    def has_postgresql(self):
        from tests.postgres import postgres_url

        self._environment |= {
            "PGHOST": postgres_url().partition("?host=")[2],
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }

    def follow(self, block):
        if block.caption:
            self._write(block)
        elif block.is_background:
            self._start(block)
        elif block.language == "console":
            for command, expected in _commands(block.text):
                self._type(command, expected)
        elif block.language == "python":
            self._run_python(block.text)

    def _write(self, block):
        name, _, where = block.caption.partition(" ")
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if where == "(at the end)" else "w", encoding="utf-8") as out:
            out.write(block.text)

    def _start(self, block):
        for command, _ in _commands(block.text):
            self._background.append(
                subprocess.Popen(
                    ["bash", "-c", command],
                    cwd=self._folder,
                    env=self._environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )

    def _type(self, command, expected):
        if command.startswith("cd "):
            self._folder = (self._folder / command[3:].strip()).resolve()
            return
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                timeout=240,
            )
            is_as_told = done.returncode == 0 and _matches(done.stdout, expected)
            if is_as_told or not self._background or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        if not _matches(done.stdout, expected):
            assert done.stdout == expected, f"$ {command}"

    def _run_python(self, text):
        if ">>>" not in text:
            exec(compile(text, "<docs>", "exec"), self._namespace)
            return
        test = doctest.DocTestParser().get_doctest(text, self._namespace, "docs", None, 0)
        told = []
        runner = doctest.DocTestRunner(
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
        )
        result = runner.run(test, out=told.append, clear_globs=False)
        self._namespace = test.globs
        assert result.failed == 0, "".join(told)

    def _make_environment(self, folder):
        tools, site = folder / ".tools", folder / ".site"
        tools.mkdir()
        site.mkdir()
        pip = tools / "pip"
        shim = Path(__file__).with_name("offline_pip.py")
        pip.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{shim}" "$@"\n', encoding="utf-8")
        pip.chmod(0o755)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DJANGO", "CLAIMKIT", "PYTEST", "PYTHON", "COV"))
        }
        return {
            **kept,
            "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(site),
            "PYTHONUTF8": "1",
            "CLAIMKIT_DOCS_SITE": str(site),
            "COLUMNS": "80",
        }


def _commands(text):
    """Yield each command with what it must print; a command may go on in the next lines."""
    command, output = None, []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command, "\n".join(output)
            command, output = line[2:], []
        elif line.startswith("> ") or (command or "").endswith("\\"):
            command += "\n" + line.removeprefix("> ")
        else:
            output.append(line)
    if command is not None:
        yield command, "\n".join(output)


def _matches(printed, expected):
    if not expected.strip():
        return True
    parts = [re.escape(part) for part in textwrap.dedent(expected).strip().split("...")]
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(".*?".join(parts), lines, re.DOTALL) is not None


@pytest.mark.parametrize(
    "block",
    [
        "$ false",
        "$ echo marsupilami\nhouba",
        "$ echo houba houba\nhouba",
        "$ printf 'one\\ntwo\\n'\none",
    ],
)
def test_a_block_that_does_not_do_what_it_says_is_noticed(tmp_path, block):
    told = Block(language="console", caption="", is_background=False, text=block)
    with Reader(tmp_path) as reader, pytest.raises(AssertionError):
        reader.follow(told)


def test_python_that_does_not_do_what_it_says_is_noticed(tmp_path):
    told = Block(language="python", caption="", is_background=False, text=">>> 1 + 1\n3\n")
    with Reader(tmp_path) as reader, pytest.raises(AssertionError):
        reader.follow(told)
