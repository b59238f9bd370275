"""``manage.py claimkit_dashboards``: write dashboards and rules for Grafana and Prometheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.ops.dashboards import dashboards, grafana_json
from claimkit.ops.rules import rules_yaml
from claimkit_django.conf import config

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]

_PROVIDER = """\
apiVersion: 1
providers:
  - name: claimkit
    folder: claimkit
    type: file
    options:
      path: {folder}
"""


class Command(BaseCommand):
    """Write Grafana dashboards with their provisioning, and Prometheus rules, into a folder."""

    help = "Write Grafana dashboards with their provisioning, and Prometheus rules, into a folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("folder", type=Path, help="made where it is not there")
        parser.add_argument(
            "--grafana-folder",
            default="/var/lib/grafana/dashboards/claimkit",
            metavar="PATH",
            help="where Grafana finds the dashboards on its machine",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files; those that are there are replaced."""
        del args
        ops, folder = config().ops, options["folder"]
        texts = {
            f"grafana/dashboards/{one.uid}.json": json.dumps(grafana_json(one), indent=2) + "\n"
            for one in dashboards(per_tenant=bool(ops.tenant_label))
        }
        path = json.dumps(options["grafana_folder"])
        texts["grafana/provisioning/dashboards/claimkit.yml"] = _PROVIDER.format(folder=path)
        texts["prometheus/claimkit.rules.yml"] = rules_yaml(lag_seconds=ops.outbox_lag_seconds)
        try:
            for name, text in texts.items():
                made = folder / name
                made.parent.mkdir(parents=True, exist_ok=True)
                made.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{folder} cannot be written: {error.strerror}") from error
        for name in texts:
            self.stdout.write(name)
