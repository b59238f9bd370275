"""Statements that stand for their line, and no foreign keys checked for each row of an import."""

from typing import Any

from django.db import migrations, models, transaction

from claimkit_django.migrations_kit import Patiently, RemoveConstraintSafely
from claimkit_django.migrations_kit.policies import EVERY_TENANT, TENANT_SETTING

_INSERT = """
INSERT INTO {line} (tenant_id, claim_key, event_key, ordinal, number, procedure_system,
    procedure_code, modifiers, revenue_code, billed_procedure, remarks, service_from,
    charge, allowed, paid, "position")
SELECT e.tenant_id, e.claim_key, e.event_key, 0, '1', 'HC',
    COALESCE(d.name, ''), '', '', '', '', e.service_from,
    e.charge, e.allowed, e.paid, e."position"
FROM {event} e LEFT JOIN {name} d ON d.tenant_id = e.tenant_id AND d.code = e.procedure_code
WHERE e.stands_for_line
"""


def write_lines(apps: Any, schema_editor: Any) -> None:
    """Give lines their rows, before nothing tells any more that statements stand for them."""
    connection = schema_editor.connection
    line, event, name = (
        connection.ops.quote_name(apps.get_model("claimkit_claims", model)._meta.db_table)
        for model in ("ServiceLine", "ClaimEvent", "Dimension")
    )
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # For owners who are bound by policies too (FORCE ROW LEVEL SECURITY).
            cursor.execute("SELECT set_config(%s, %s, true)", [TENANT_SETTING, EVERY_TENANT])
        cursor.execute(_INSERT.format(line=line, event=event, name=name))
        cursor.execute(f"UPDATE {event} SET stands_for_line = false WHERE stands_for_line")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("claimkit_claims", "0005_pending_claims")]

    operations = [
        Patiently(
            migrations.AddField(
                model_name="claimevent",
                name="stands_for_line",
                field=models.BooleanField(db_default=False, default=False),
            )
        ),
        migrations.RunPython(migrations.RunPython.noop, write_lines),
        RemoveConstraintSafely(model_name="adjustment", name="claims_adjustment_line"),
        RemoveConstraintSafely(model_name="serviceline", name="claims_line_event"),
        RemoveConstraintSafely(model_name="claimevent", name="claims_event_claim"),
    ]
