from __future__ import annotations

import json

import pytest

from claimkit.testing.conformance import ReaderConformance


class TestFhirReader(ReaderConformance):
    @pytest.fixture
    def reader(self, fhir):
        return fhir

    @pytest.fixture
    def files(self, claim, eob, response, bundle, ndjson):
        return {
            "eob.json": json.dumps(eob()).encode(),
            "bundle.json": json.dumps(bundle(response(), claim(), eob()), indent=1).encode(),
            "export.ndjson": ndjson(
                claim(), response(), eob(), {"resourceType": "Patient"}
            ).encode(),
        }
