"""What all tests share: the hypothesis profile and the folder of third-party samples."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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

_ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of third-party sample files; they are used in place and never shipped."""
    folder = Path(os.environ.get("CLAIMKIT_SAMPLES", _ROOT.parent / "shared" / "samples"))
    if not (folder / "MANIFEST.tsv").exists():
        pytest.skip("third-party samples are not here; CLAIMKIT_SAMPLES names their folder")
    return folder
