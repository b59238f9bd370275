from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace

from claimkit.doctor import examine


def test_a_sound_installation_passes_every_check(tmp_path):
    results = examine(store_url=f"sqlite:///{tmp_path / 'claims.db'}")

    assert [one.name for one in results if not one.ok] == []
    assert {"python", "numpy", "plugins", "readers", "detectors", "store"} == {
        one.name for one in results
    }


def test_a_broken_plugin_is_found_and_named(monkeypatch):
    def load():
        raise ImportError("no")

    broken = SimpleNamespace(
        name="jungle",
        load=load,
        dist=SimpleNamespace(name="claimkit-marsupilami", version="1.2", requires=None),
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken])

    results = {one.name: one for one in examine()}

    assert not results["plugins"].ok
    assert "claimkit-marsupilami" in results["plugins"].detail
    assert "store" not in results


def test_a_store_that_does_not_open_fails_its_check():
    results = {one.name: one for one in examine(store_url="postgres://x")}

    assert results["plugins"].ok
    assert not results["store"].ok
