"""What the tests of the reader share: resources in the making, and reading them to the end."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings

from claimkit.claims.model import Claim, ClaimBatch, Notice, RowProblem
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
        assert self.problems == []
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


@pytest.fixture(scope="session")
def fhir():
    """Return the reader as claimkit finds it: by the plugin's entry point."""
    return load_plugins().readers["fhir"]


@pytest.fixture(scope="session")
def read(fhir):
    """Return a function that reads bytes, text, a stream or JSON values to the end."""

    def read(source, **options):
        if isinstance(source, dict | list):
            source = json.dumps(source)
        if isinstance(source, str):
            source = source.encode("utf-8", "surrogatepass")
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        return Read(list(fhir.read(stream, ReadOptions(**options))))

    return read


@pytest.fixture(scope="session")
def concept():
    """Return a function that makes a CodeableConcept of codes."""

    def concept(*codes, system="http://example.org/codes"):
        return {"coding": [{"system": system, "code": code} for code in codes]}

    return concept


@pytest.fixture(scope="session")
def told(concept):
    """Return a function that makes one adjudication, or one total."""

    def told(category, amount=None, *reasons):
        made = {"category": concept(category)}
        if amount is not None:
            made["amount"] = {"value": amount, "currency": "USD"}
        if reasons:
            made["reason"] = concept(
                *reasons, system="https://x12.org/codes/claim-adjustment-reason-codes"
            )
        return made

    return told


@pytest.fixture(scope="session")
def claim(concept):
    """Return a function that makes a Claim."""

    def claim(**other):
        made = {
            "resourceType": "Claim",
            "id": "c417",
            "identifier": [{"value": "PCN-000417"}],
            "status": "active",
            "use": "claim",
            "type": concept("professional"),
            "patient": {"reference": "Patient/p731", "display": "Pat Sample"},
            "created": "2026-01-12",
            "insurer": {
                "display": "MERIDIAN HEALTH PLAN OF OHIO",
                "identifier": {"value": "60054"},
            },
            "provider": {
                "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1999999984"}
            },
            "insurance": [
                {
                    "sequence": 1,
                    "focal": True,
                    "coverage": {"reference": "Coverage/v1"},
                    "preAuthRef": ["AUTH-88"],
                }
            ],
            "item": [
                {
                    "sequence": 1,
                    "productOrService": concept("99214", system="http://www.ama-assn.org/go/cpt"),
                    "modifier": [concept("25")],
                    "servicedDate": "2026-01-05",
                    "quantity": {"value": 1},
                    "net": {"value": 320, "currency": "USD"},
                }
            ],
            "total": {"value": 320.00, "currency": "USD"},
        }
        made.update(other)
        return {name: value for name, value in made.items() if value is not None}

    return claim


@pytest.fixture(scope="session")
def eob(claim, told):
    """Return a function that makes an ExplanationOfBenefit."""

    def eob(**other):
        item = claim()["item"][0]
        item = {name: value for name, value in item.items() if name != "net"}
        item["adjudication"] = [
            told("submitted", 320),
            told("eligible", 210),
            told("CO", 110, "45"),
            told("deductible", 25),
            told("benefit", 185),
        ]
        made = {
            "resourceType": "ExplanationOfBenefit",
            "id": "e417",
            "identifier": [{"value": "ICN88124"}],
            "outcome": "complete",
            "created": "2026-02-17",
            "claim": {"identifier": {"value": "PCN-000417"}},
            "payment": {
                "amount": {"value": 185},
                "date": "2026-02-19",
                "identifier": {"value": "EFT000731"},
            },
            "total": [told("submitted", 320), told("benefit", 185)],
            "item": [item],
        }
        made.update(other)
        return claim(**made)

    return eob


@pytest.fixture(scope="session")
def response(told):
    """Return a function that makes a ClaimResponse."""

    def response(**other):
        made = {
            "resourceType": "ClaimResponse",
            "id": "r417",
            "identifier": [{"value": "ICN88124"}],
            "status": "active",
            "use": "claim",
            "outcome": "complete",
            "created": "2026-02-17",
            "patient": {"reference": "Patient/p731"},
            "insurer": {"display": "MERIDIAN HEALTH PLAN OF OHIO"},
            "request": {"reference": "Claim/c417"},
            "preAuthRef": "AUTH-88",
            "total": [told("submitted", 320), told("benefit", 185), told("copay", 135)],
        }
        made.update(other)
        return {name: value for name, value in made.items() if value is not None}

    return response


@pytest.fixture(scope="session")
def bundle():
    """Return a function that makes a Bundle of resources."""

    def bundle(*resources, **other):
        entries = [
            {
                "fullUrl": f"http://fhir.test/{one.get('resourceType')}/{one.get('id')}",
                "resource": one,
            }
            for one in resources
        ]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries, **other}

    return bundle


@pytest.fixture(scope="session")
def ndjson():
    """Return a function that writes resources, or lines as they are, one per line."""

    def ndjson(*resources):
        return "".join(
            (one if isinstance(one, str) else json.dumps(one)) + "\n" for one in resources
        )

    return ndjson
