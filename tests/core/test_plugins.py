from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import SimpleNamespace

import pytest

from claimkit import hookimpl
from claimkit.errors import ConfigError, PluginBroken, PluginCollision, StoreError
from claimkit.plugins import load_plugins
from claimkit.tenants import TenantHint
from claimkit.types import TenantKey


class Plugin:
    """A plugin made of what the test hands it."""

    def __init__(self, **registers):
        self._registers = registers

    @hookimpl
    def claimkit_register_readers(self):
        return self._registers.get("readers", ())

    @hookimpl
    def claimkit_register_normalizers(self):
        return self._registers.get("normalizers", ())

    @hookimpl
    def claimkit_resolve_tenant(self, hint):
        return self._registers.get("tenant")


def reader(name):
    return SimpleNamespace(name=name, kinds=())


def normalizer(name, *after):
    return SimpleNamespace(name=name, after=after)


def alone(*plugins, **options):
    """Load the given plugins without installed distributions."""
    named = [(f"plugin-{number}", one) for number, one in enumerate(plugins)]
    return load_plugins(entry_points=False, extra=named, **options)


def test_built_ins_are_a_plugin_like_any_other():
    loaded = {one.name: one for one in alone().loaded}

    assert loaded["builtins"].distribution == "claimkit"
    assert "csv" in loaded["builtins"].adds["readers"]


def test_a_plugin_adds_by_name():
    marsupilami = reader("marsupilami")
    plugins = alone(Plugin(readers=[marsupilami]))

    assert plugins.readers["marsupilami"] is marsupilami
    assert plugins.loaded[-1].adds == {"readers": ("marsupilami",)}


def test_two_plugins_cannot_claim_one_name():
    with pytest.raises(PluginCollision, match="reader 'marsupilami'"):
        alone(Plugin(readers=[reader("marsupilami")]), Plugin(readers=[reader("marsupilami")]))


def test_two_plugins_cannot_have_one_name():
    with pytest.raises(PluginCollision, match="'one'"):
        load_plugins(entry_points=False, extra=[("one", Plugin()), ("one", Plugin())])


def test_a_disabled_plugin_does_not_load():
    plugins = alone(Plugin(readers=[reader("marsupilami")]), disabled=["plugin-0"])

    assert "marsupilami" not in plugins.readers


def test_a_plugin_that_fails_to_register_is_named():
    class Broken:
        @hookimpl
        def claimkit_register_readers(self):
            raise OSError("disk on fire")

    with pytest.raises(PluginBroken, match=r"plugin 'plugin-0' .* readers: OSError"):
        alone(Broken())


def installed(monkeypatch, *entries):
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: list(entries))


def entry(name, load, distribution="claimkit-marsupilami"):
    return SimpleNamespace(
        name=name, load=load, dist=SimpleNamespace(name=distribution, version="1.2")
    )


def test_an_installed_plugin_is_loaded_and_blamed_by_distribution(monkeypatch):
    installed(monkeypatch, entry("jungle", lambda: Plugin(readers=[reader("marsupilami")])))

    info = load_plugins().loaded[-1]

    assert (info.name, info.distribution) == ("jungle", "claimkit-marsupilami 1.2")


def test_an_installed_plugin_that_fails_to_import_names_its_distribution(monkeypatch):
    def load():
        raise ImportError("no module named palombia")

    installed(monkeypatch, entry("jungle", load))

    with pytest.raises(PluginBroken, match=r"claimkit-marsupilami 1\.2 failed to load"):
        load_plugins()
    assert load_plugins(disabled=["jungle"]).loaded


def test_two_distributions_with_one_plugin_name_collide(monkeypatch):
    installed(monkeypatch, entry("jungle", Plugin), entry("jungle", Plugin, "claimkit-houba"))

    with pytest.raises(PluginCollision, match=r"claimkit-marsupilami 1\.2 and claimkit-houba 1\.2"):
        load_plugins()


def test_normalizers_run_in_the_order_they_ask_for():
    plugins = alone(
        Plugin(normalizers=[normalizer("third", "second"), normalizer("second", "first")]),
        Plugin(normalizers=[normalizer("first", "nobody-installed")]),
        disabled=["builtins"],
    )

    names = [one.name for one in plugins.normalizers]
    assert names.index("first") < names.index("second") < names.index("third")


def test_normalizers_that_wait_for_each_other_are_refused():
    with pytest.raises(ConfigError, match="circle"):
        alone(Plugin(normalizers=[normalizer("hen", "egg"), normalizer("egg", "hen")]))


def test_a_tenant_is_only_chosen_among_the_permitted():
    hint = TenantHint(actor="ada", permitted=(TenantKey("northside"),), wanted="lakeview")

    assert alone(Plugin(tenant=TenantKey("lakeview"))).resolve_tenant(hint) is None
    assert alone(Plugin(tenant=TenantKey("northside"))).resolve_tenant(hint) == "northside"


def test_the_built_in_choice_is_what_was_wanted_or_the_only_one():
    both = (TenantKey("northside"), TenantKey("lakeview"))
    plugins = alone()

    assert plugins.resolve_tenant(TenantHint(permitted=both, wanted="lakeview")) == "lakeview"
    assert plugins.resolve_tenant(TenantHint(permitted=both)) is None
    assert plugins.resolve_tenant(TenantHint(permitted=both[:1])) == "northside"
    assert plugins.resolve_tenant(TenantHint(permitted=both, wanted="elsewhere")) is None


def test_a_store_nobody_opens_is_a_clear_error():
    with pytest.raises(StoreError, match="no plugin opens a store of kind 'postgres'"):
        alone().open_store("postgres://somewhere")


def test_stores_open_by_url(tmp_path):
    plugins = alone()

    plugins.open_store("memory:").close()
    plugins.open_store(f"sqlite:///{tmp_path / 'claims.db'}").close()
    assert (tmp_path / "claims.db").exists()


def test_importing_claimkit_loads_no_plugin():
    code = "import sys, claimkit; sys.exit('claimkit.builtins' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
