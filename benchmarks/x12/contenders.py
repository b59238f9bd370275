"""What the reader is measured beside, each in a process of its own: ``contenders.py NAME FILE``.

A contender reads the file and says how many claims and lines it saw, and what it does by the way:
tokens, claims, or whole objects. CPU time is that of reading, without imports; memory is the peak of
the whole process. One that is not installed, or that fails, says so.
"""

from __future__ import annotations

import importlib.metadata
import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


def _split_segments(path: Path) -> Counter[str]:
    with path.open("rb") as stream:
        return Counter(
            segment[:3] for part in _parts(stream) for segment in part.decode("ascii").split("~")
        )


def _split_elements(path: Path) -> Counter[str]:
    with path.open("rb") as stream:
        return Counter(
            segment.split("*")[0]
            for part in _parts(stream)
            for segment in part.decode("ascii").split("~")
        )


def _parts(stream: Any) -> Any:
    rest = b""
    while chunk := stream.read(1 << 17):
        rest += chunk
        end = rest.rfind(b"~") + 1
        yield rest[:end]
        rest = rest[end:]


def _claimkit(path: Path) -> Counter[str]:
    from claimkit.claims.readers import ReadOptions
    from claimkit_x12.plugin import X12Reader

    seen: Counter[str] = Counter()
    with path.open("rb") as stream:
        for batch in X12Reader().read(stream, ReadOptions()):
            seen["CLP"] += len(batch.claims)
            seen["SVC"] += sum([len(one.lines) for one in batch.claims])
            seen["paid"] += sum([one.paid for one in batch.claims])
            seen["odd"] += len(batch.problems) + len(batch.notices)
    return seen


def _pyx12_segments(path: Path) -> Counter[str]:
    import pyx12.x12file

    with path.open(encoding="ascii") as stream:
        return Counter(one.get_seg_id() for one in pyx12.x12file.X12Reader(stream))


def _pyx12_loops(path: Path) -> Counter[str]:
    import pyx12.error_handler
    import pyx12.params
    import pyx12.x12context

    seen: Counter[str] = Counter()
    with path.open(encoding="ascii") as stream:
        reader = pyx12.x12context.X12ContextReader(
            pyx12.params.params(), pyx12.error_handler.errh_null(), stream
        )
        for one in reader.iter_segments("2100"):
            if one.id == "2100":
                seen["CLP"] += 1
                seen["SVC"] += one.count("2110")
    return seen


def _ansi_x12(path: Path) -> Counter[str]:
    import x12

    return Counter(one.tag for one in x12.tokenize_x12(path.read_bytes()).segments)


def _linuxforhealth_segments(path: Path) -> Counter[str]:
    from linuxforhealth.x12.io import X12SegmentReader

    with X12SegmentReader(str(path)) as reader:
        return Counter(one[0] for one in reader.segments())


def _linuxforhealth_models(path: Path) -> Counter[str]:
    from linuxforhealth.x12.io import X12ModelReader

    seen: Counter[str] = Counter()
    with X12ModelReader(str(path)) as reader:
        for model in reader.models():
            for claims in (loop.loop_2100 for loop in model.loop_2000):
                seen["CLP"] += len(claims)
                seen["SVC"] += sum(len(one.loop_2110 or ()) for one in claims)
    return seen


def _edi_835_parser(path: Path) -> Counter[str]:
    from edi_835_parser import parse

    seen: Counter[str] = Counter()
    for one in parse(str(path)):
        seen["CLP"] += len(one.claims)
        seen["SVC"] += sum(len(claim.services) for claim in one.claims)
    return seen


class Contender(NamedTuple):
    """One way to read a remittance."""

    read: Callable[[Path], Counter[str]]
    #: Distribution that must be installed; ``""`` for plain Python.
    distribution: str
    #: What one has afterwards.
    gives: str
    #: Largest file that it gets, in bytes: what is a hundred times slower is measured on less.
    most: int = 1 << 40


CONTENDERS = {
    "split segments": Contender(_split_segments, "", "strings"),
    "split elements": Contender(_split_elements, "", "strings"),
    "claimkit-x12": Contender(_claimkit, "claimkit-x12", "claims"),
    "pyx12 segments": Contender(_pyx12_segments, "pyx12", "tokens", 5_000_000),
    "ansi-x12": Contender(_ansi_x12, "ansi-x12", "tokens", 5_000_000),
    "linuxforhealth segments": Contender(
        _linuxforhealth_segments, "linuxforhealth-x12", "tokens", 5_000_000
    ),
    "pyx12 loops": Contender(_pyx12_loops, "pyx12", "loops", 200_000),
    "linuxforhealth models": Contender(
        _linuxforhealth_models, "linuxforhealth-x12", "models", 200_000
    ),
    "edi-835-parser": Contender(_edi_835_parser, "edi-835-parser", "models", 200_000),
}


def main() -> None:
    name, path = sys.argv[1], Path(sys.argv[2])
    print(json.dumps(_measured(CONTENDERS[name], path)))


def _measured(contender: Contender, path: Path) -> dict[str, Any]:
    version = ""
    if contender.distribution:
        try:
            version = importlib.metadata.version(contender.distribution)
        except importlib.metadata.PackageNotFoundError:
            return {"error": "not installed"}
    head = path.with_name("warm.835")
    try:
        # Imports, compiled patterns and maps are paid once per process, not per file.
        contender.read(head)
        started = time.process_time()
        seen = contender.read(path)
        seconds = time.process_time() - started
    except Exception as failure:  # noqa: BLE001 - others fail in any way they like
        words = f"{type(failure).__name__}: {failure}".split()
        return {"version": version, "error": " ".join(words)[:120]}
    return {
        "version": version,
        "seconds": seconds,
        "peak": _peak(),
        "claims": seen["CLP"],
        "lines": seen["SVC"],
        "paid": seen.get("paid"),
        "odd": seen.get("odd", 0),
    }


def _peak() -> int:
    """Return the most memory that this process held, in bytes.

    ``ru_maxrss`` of a child counts what its parent held when it was forked; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


if __name__ == "__main__":
    main()
