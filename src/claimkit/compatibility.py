"""Whether a version is one that a requirement allows, as PEP 440 says it.

A plugin says in its metadata with which claimkit it works (``Requires-Dist: claimkit>=0.1,<1``), and
an installer looks at that once: who later upgrades claimkit alone breaks the promise unseen. So it is
looked at again when plugins load. The core has no package for this, so that it needs none.
"""

from __future__ import annotations

import re
from typing import TypeAlias

__all__ = ["allows", "requirement_of"]

_VERSION = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<phase>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<number>\d*))?"
    r"(?P<post>-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?"
    r"(?P<dev>[-_.]?dev[-_.]?\d*)?"
    r"(?:\+[a-z0-9.]+)?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*([\w.+!-]+?)(\.\*)?$")
_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_PHASES = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_FINAL = ("z", 0)

#: Release, phase and its number, post-release, development release; in the order of versions.
_Key: TypeAlias = "tuple[tuple[int, ...], tuple[str, int], int, float]"


def requirement_of(lines: list[str], distribution: str) -> str:
    """Return what the lines of ``Requires-Dist`` ask of a distribution, ``""`` for nothing.

    Lines with a marker, such as those of an extra, do not count.

    >>> requirement_of(["numpy>=2.0", "claimkit[reports]>=0.1,<1", "claimkit; extra == 'x'"], "claimkit")
    '>=0.1,<1'
    """
    asked = []
    for line in lines:
        match = _NAME.match(line)
        if match and re.sub(r"[-_.]+", "-", match[1]).lower() == distribution and not match[3]:
            asked.append(match[2].strip())
    return ",".join(filter(None, asked))


def allows(specifiers: str, version: str) -> bool:
    """Return whether ``version`` is allowed; pre-releases are versions like any other.

    What cannot be understood, such as a URL, forbids nothing: installers know it, we do not.

    >>> allows(">=0.1,<1", "0.4.2"), allows(">=0.1,<1", "1.0"), allows("~=0.3", "0.2")
    (True, False, False)
    """
    key = _key(version)
    return key is None or all(_holds(one.strip(), key) for one in specifiers.split(",") if one)


def _holds(clause: str, version: _Key) -> bool:
    match = _CLAUSE.match(clause)
    bound = _key(match[2]) if match else None
    if match is None or bound is None:
        return True
    sign, prefix = match[1], match[3]
    if prefix:
        return _begins(version, bound, len(_parts(match[2]))) == (sign == "==")
    if sign == "~=":
        return version >= bound and _begins(version, bound, len(_parts(match[2])) - 1)
    same_release = version[0] == bound[0]
    return {
        "==": version == bound,
        "!=": version != bound,
        "<=": version <= bound,
        ">=": version >= bound,
        # A pre-release of the version itself is not before it, nor its post-release after it.
        "<": version < bound and not (same_release and _is_early(version) and not _is_early(bound)),
        ">": version > bound
        and not (version[:2] == bound[:2] and version[2] >= 0 and bound[2] < 0),
    }[sign]


def _begins(version: _Key, bound: _Key, parts: int) -> bool:
    return _padded(version[0], parts) == _padded(bound[0], parts)


def _padded(release: tuple[int, ...], parts: int) -> tuple[int, ...]:
    return (*release, *(0,) * parts)[:parts]


def _is_early(version: _Key) -> bool:
    return version[1] != _FINAL or version[3] != float("inf")


def _parts(version: str) -> list[str]:
    match = _VERSION.match(version)
    return match["release"].split(".") if match else []


def _key(version: str) -> _Key | None:
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        return None
    release = [int(one) for one in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    phase = _FINAL
    if match["phase"]:
        word = match["phase"].lower()
        phase = (_PHASES.get(word, word), int(match["number"] or 0))
    elif match["dev"] and not match["post"]:
        # Before the first alpha.
        phase = ("", 0)
    post = int(re.sub(r"\D", "", match["post"]) or 0) if match["post"] else -1
    dev = float(re.sub(r"\D", "", match["dev"]) or 0) if match["dev"] else float("inf")
    return tuple(release), phase, post, dev
