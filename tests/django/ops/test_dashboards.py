"""The command writes what Grafana and Prometheus read."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command


def test_the_command_writes_dashboards_and_rules(tmp_path, capsys, ops):
    ops(OUTBOX_LAG_SECONDS=77)
    call_command("claimkit_dashboards", str(tmp_path / "made"), "--grafana-folder", "/srv/boards")
    told = capsys.readouterr().out.splitlines()
    made = sorted(str(one.relative_to(tmp_path / "made")) for one in tmp_path.rglob("*.*"))

    assert made == sorted(told)
    assert len([one for one in told if one.endswith(".json")]) == 6
    for one in (tmp_path / "made" / "grafana" / "dashboards").glob("*.json"):
        assert json.loads(one.read_text())["uid"] == one.stem
    provider = tmp_path / "made" / "grafana" / "provisioning" / "dashboards" / "claimkit.yml"
    assert 'path: "/srv/boards"' in provider.read_text()
    assert "> 77" in (tmp_path / "made" / "prometheus" / "claimkit.rules.yml").read_text()


def test_tenants_have_a_dashboard_where_they_have_a_label(tmp_path, capsys, ops):
    ops(TENANT_LABEL="hash")
    call_command("claimkit_dashboards", str(tmp_path))

    assert "grafana/dashboards/claimkit-tenants.json" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match="cannot be written"):
        call_command("claimkit_dashboards", str(tmp_path / "file"))
