from __future__ import annotations

import pytest

from claimkit.testing.conformance import ReaderConformance


class TestX12Reader(ReaderConformance):
    @pytest.fixture
    def reader(self, x12):
        return x12

    @pytest.fixture
    def files(self, era, claims837):
        remittance = era("CLP*PCN-1*1*100*80*20", "CLP*PCN-2*4*50*0*0", transfer=80)
        return {
            "era.835": remittance.encode(),
            "claims.837": claims837("CLM*PCN-1*100***11:B:1", "CLM*PCN-2*50***11:B:1").encode(),
        }
