"""What the tests of the reader share: files in the making, and reading them to the end."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from claimkit.claims.model import Claim, ClaimBatch, ClaimKind, Notice, RowProblem
from claimkit.claims.readers import ReadOptions
from claimkit.plugins import load_plugins

# The same profile as that of the core's tests, for when these run alone.
settings.register_profile(
    "claimkit",
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
#: For a second Python, which need not look for what the first has looked for.
settings.register_profile("again", settings.get_profile("claimkit"), max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "claimkit"))

_ROOT = Path(__file__).parents[3]


@dataclass
class Read:
    """All that a reader said of one file."""

    batches: list[ClaimBatch] = field(default_factory=list)

    @property
    def claims(self) -> list[Claim]:
        return [one for batch in self.batches for one in batch.claims]

    @property
    def claim(self) -> Claim:
        """The only claim."""
        (claim,) = self.claims
        return claim

    @property
    def problems(self) -> list[RowProblem]:
        return [one for batch in self.batches for one in batch.problems]

    @property
    def notices(self) -> list[Notice]:
        return [one for batch in self.batches for one in batch.notices]

    @property
    def codes(self) -> list[str]:
        """Codes of the notices, in order."""
        return [one.code for one in self.notices]

    @property
    def kinds(self) -> tuple[ClaimKind, ...]:
        return self.batches[-1].kinds


@pytest.fixture(scope="session")
def x12():
    """Return the reader as claimkit finds it: by the plugin's entry point."""
    return load_plugins().readers["x12"]


@pytest.fixture(scope="session")
def read(x12):
    """Return a function that reads bytes, text or a stream to the end."""

    def read(source, **options):
        if isinstance(source, str):
            source = source.encode("utf-8")
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        return Read(list(x12.read(stream, ReadOptions(**options))))

    return read


@pytest.fixture(scope="session")
def isa():
    """Return a function that writes an interchange header of the right width."""

    def isa(number=417, sender="RIVERSIDE", version="00501", element="*", component=":"):
        fields = [
            *("ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{sender:15}", "ZZ", f"{'PAYER':15}"),
            *(
                "260217",
                "1453",
                "U" if element == "^" else "^",
                version,
                f"{number:09d}",
                "0",
                "P",
                component,
            ),
        ]
        return element.join(fields)

    return isa


@pytest.fixture(scope="session")
def era(isa):
    """Return a function that wraps claims of an 835 into an interchange."""

    def era(*claims, header=(), plb=(), transfer="185", number=417, trace="EFT000731", end=True):
        head = header or (
            f"BPR*I*{transfer}*C*ACH*CCP*01*999999992*DA*123456*1512345678**01*999988880*DA*98765"
            "*20260219",
            f"TRN*1*{trace}*1512345678",
            "DTM*405*20260217",
            "N1*PR*MERIDIAN HEALTH PLAN OF OHIO*XV*60054",
            "N1*PE*RIVERSIDE MEDICAL GROUP*XX*1999999984",
            "REF*TJ*311234567",
            "LX*1",
        )
        inner = ["ST*835*0001", *head, *claims, *plb]
        inner.append(f"SE*{len(inner) + 1}*0001")
        segments = [
            isa(number),
            "GS*HP*RIVERSIDE*PAYER*20260217*1453*12*X*005010X221A1",
            *inner,
            "GE*1*12",
            f"IEA*1*{number:09d}",
        ]
        return "~\n".join(segments) + ("~\n" if end else "")

    return era


@pytest.fixture(scope="session")
def claims837(isa):
    """Return a function that wraps the claims of one subscriber into an interchange."""

    def claims837(*claims, version="005010X222A1", header=()):
        head = header or (
            "BHT*0019*00*B417*20260112*0900*CH",
            "NM1*41*2*RIVERSIDE MEDICAL GROUP*****46*SUBMITTER",
            "HL*1**20*1",
            "NM1*85*2*RIVERSIDE MEDICAL GROUP*****XX*1999999984",
            "REF*EI*311234567",
            "HL*2*1*22*0",
            "SBR*P*18*******12",
            "NM1*IL*1*SAMPLE*PAT****MI*W000731",
            "NM1*PR*2*MERIDIAN HEALTH PLAN OF OHIO*****PI*60054",
        )
        inner = [f"ST*837*0001*{version}".rstrip("*"), *head, *claims]
        inner.append(f"SE*{len(inner) + 1}*0001")
        segments = [
            isa(),
            f"GS*HC*RIVERSIDE*PAYER*20260111*0901*12*X*{version}",
            *inner,
            "GE*1*12",
            "IEA*1*000000417",
        ]
        return "~\n".join(segments) + "~\n"

    return claims837


@pytest.fixture(scope="session")
def own_samples() -> Path:
    """Return the folder of sample files that come with the sources."""
    return _ROOT / "tests" / "samples" / "x12"


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of third-party sample files; they are used in place and never shipped."""
    folder = Path(os.environ.get("CLAIMKIT_SAMPLES", _ROOT.parent / "shared" / "samples"))
    if not (folder / "MANIFEST.tsv").exists():
        pytest.skip("third-party samples are not here; CLAIMKIT_SAMPLES names their folder")
    return folder
