"""Made-up claims of made-up payers, with planted drifts, and the files that would tell of them.

:func:`make_claims` simulates how payers adjudicate one provider's claims; the writers turn the
result into a billing system's CSV and into X12 835 and 837 files, as a clearinghouse would send.
"""

from __future__ import annotations

from claimkit.testing.synthetic.profiles import LAKEVIEW, NORTHSIDE, PlantedDrift, Profile
from claimkit.testing.synthetic.simulation import SyntheticClaims, make_claims
from claimkit.testing.synthetic.writers import write_835, write_837p, write_csv

__all__ = [
    "LAKEVIEW",
    "NORTHSIDE",
    "PlantedDrift",
    "Profile",
    "SyntheticClaims",
    "make_claims",
    "write_835",
    "write_837p",
    "write_csv",
]
