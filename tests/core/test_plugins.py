from __future__ import annotations

import importlib.metadata
import re
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


def entry(name, load, distribution="claimkit-marsupilami", requires=()):
    return SimpleNamespace(
        name=name,
        load=load,
        dist=SimpleNamespace(name=distribution, version="1.2", requires=list(requires)),
    )


def test_an_installed_plugin_is_loaded_and_blamed_by_distribution(monkeypatch):
    installed(monkeypatch, entry("jungle", lambda: Plugin(readers=[reader("marsupilami")])))

    info = load_plugins().loaded[-1]

    assert (info.name, info.label) == ("jungle", "claimkit-marsupilami 1.2")
    assert info.hooks == (
        "claimkit_register_normalizers",
        "claimkit_register_readers",
        "claimkit_resolve_tenant",
    )


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


# -- a plugin that cannot be loaded does not take the others down --------------------------


class Unknown:
    @hookimpl
    def claimkit_register_palombians(self):
        return ()


class Nameless(Plugin):
    @hookimpl
    def claimkit_register_readers(self):
        return [object()]


class Misread(Plugin):
    @hookimpl
    def claimkit_register_readers(self, houba):
        return ()


def missing():
    raise ImportError("no module named palombia")


@pytest.mark.parametrize(
    ("load", "code", "why"),
    [
        (missing, "plugin_broken", "ImportError: no module named palombia"),
        (Unknown, "plugin_broken", "claimkit_register_palombians"),
        (Misread, "plugin_broken", "houba"),
        (Nameless, "plugin_broken", "readers: AttributeError"),
        (lambda: Plugin(readers=[reader("csv")]), "plugin_collision", "reader 'csv'"),
        (lambda: Plugin(readers=[reader("a"), reader("a")]), "plugin_collision", "reader 'a'"),
        (lambda: Plugin(normalizers=[normalizer("x", "x")]), "plugin_broken", "circle"),
    ],
)
def test_what_is_broken_is_left_out_and_told(monkeypatch, load, code, why):
    installed(
        monkeypatch,
        entry("jungle", load),
        entry("spip", lambda: Plugin(readers=[reader("spip")]), "claimkit-spip"),
    )

    plugins = load_plugins(strict=False)

    (failure,) = plugins.failed
    assert (failure.name, failure.distribution, failure.version) == (
        "jungle",
        "claimkit-marsupilami",
        "1.2",
    )
    assert failure.error.code == code
    assert why in failure.error.message
    assert [one.name for one in plugins.loaded] == ["builtins", "spip"]
    assert {"csv", "spip"} <= plugins.readers.keys()
    with pytest.raises((PluginBroken, PluginCollision, ConfigError), match=re.escape(why)):
        load_plugins()


def test_nothing_of_a_plugin_that_is_left_out_stays(monkeypatch):
    """What it registered before it failed goes too, and so do its other hooks."""

    class Half(Plugin):
        @hookimpl
        def claimkit_register_channels(self):
            raise OSError("disk on fire")

    northside = TenantKey("northside")
    installed(monkeypatch, entry("half", lambda: Half(readers=[reader("houba")], tenant=northside)))

    plugins = load_plugins(strict=False)

    assert "houba" not in plugins.readers
    both = (TenantKey("lakeview"), northside)
    assert plugins.resolve_tenant(TenantHint(permitted=both)) is None


def test_a_plugin_that_is_required_must_load(monkeypatch):
    installed(monkeypatch, entry("jungle", missing))

    with pytest.raises(PluginBroken, match="palombia"):
        load_plugins(strict=False, required=["jungle"])
    with pytest.raises(PluginBroken, match="'spip' is required and not installed"):
        load_plugins(strict=False, required=["spip"])
    with pytest.raises(PluginBroken, match="'jungle' is required and disabled"):
        load_plugins(strict=False, required=["jungle"], disabled=["jungle"])


@pytest.mark.parametrize("asks", [">=0.2,<1", "<0.1", "==0.2.*", "~=0.2", "!=0.1.0"])
def test_a_plugin_for_another_claimkit_is_left_out_with_one_clear_line(monkeypatch, asks):
    monkeypatch.setattr("claimkit.plugins.__version__", "0.1.0")
    loads = []
    installed(
        monkeypatch,
        entry("jungle", lambda: loads.append(1), requires=[f"claimkit{asks}", "numpy>=2"]),
    )

    (failure,) = load_plugins(strict=False).failed

    assert str(failure.error) == (
        f"plugin 'jungle' of claimkit-marsupilami 1.2 works with claimkit {asks}, "
        "and this is claimkit 0.1.0. "
        "Upgrade the plugin, or install a claimkit that it works with"
    )
    # It may well not import here.
    assert loads == []


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
