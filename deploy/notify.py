#!/usr/bin/env python3
"""Tells a chat that a deployment started, succeeded or failed: ``notify.py started|succeeded|failed``.

What it says comes from the environment that GitHub sets; everything in it that somebody could
choose, such as the name of a branch, is escaped for the chat and cut, and the JSON is made by a
serializer, never by a shell. Without ``DEPLOY_WEBHOOK_URL`` it says so and ends well: a
deployment must not fail because nobody listens.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

ICONS = {"started": "🚀", "succeeded": "✅", "failed": "❌"}
LONGEST = 200
#: What a chat would take for markup, mentions or links.
_SPECIAL = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escaped(text: str) -> str:
    """Return a text that a chat shows as it is, on one line."""
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", text)[:LONGEST]
    # A zero-width space keeps *bold*, _italic_, `code`, ~struck~ and @everyone from being that.
    return re.sub(r"([*_`~@|\[\]()])", "\\1\u200b", line.translate(_SPECIAL))


def message(state: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the body to post."""

    def told(name: str) -> str:
        return escaped(environment.get(name, "")) or "?"

    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    path = f"{environment.get('GITHUB_REPOSITORY', '')}/actions/runs/{environment.get('GITHUB_RUN_ID', '')}"
    where = f"{server}/{urllib.parse.quote(path)}"
    text = (
        f"{ICONS[state]} deployment {state}: {told('GITHUB_REPOSITORY')} {told('GITHUB_REF_NAME')}"
        f" {told('GITHUB_SHA')[:12]} to {told('DEPLOY_ENVIRONMENT')} by {told('GITHUB_ACTOR')}\n{where}"
    )
    return {"text": text}


def main(argv: list[str]) -> int:
    """Post; return 0 where it was taken or nobody listens, 1 where it was not, 2 for wrong use."""
    if len(argv) != 1 or argv[0] not in ICONS:
        print(f"usage: notify.py {'|'.join(ICONS)}", file=sys.stderr)
        return 2
    url = os.environ.get("DEPLOY_WEBHOOK_URL", "")
    if not url:
        print("DEPLOY_WEBHOOK_URL is not set: nobody is told")
        return 0
    body = json.dumps(message(argv[0], dict(os.environ))).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return 0
    except (OSError, ValueError) as error:
        # Not the address: it is a secret.
        print(f"nobody was told ({type(error).__name__})", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
