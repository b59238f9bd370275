"""Public identifiers: a prefix that says what it is, and 128 random bits that say nothing else.

Database ids stay inside; whoever sees ``upl_…`` can neither count nor guess its neighbors.
"""

from __future__ import annotations

import secrets

__all__ = [
    "new_alert_uid",
    "new_approval_uid",
    "new_audit_uid",
    "new_authorization_import_uid",
    "new_authorization_uid",
    "new_automation_rule_uid",
    "new_backtest_uid",
    "new_challenge",
    "new_channel_uid",
    "new_delivery_uid",
    "new_digest_uid",
    "new_endpoint_uid",
    "new_execution_uid",
    "new_export_uid",
    "new_finding_uid",
    "new_lead_time_uid",
    "new_mapping_uid",
    "new_message_uid",
    "new_notification_uid",
    "new_report_uid",
    "new_route_uid",
    "new_rule_uid",
    "new_run_uid",
    "new_schedule_uid",
    "new_silence_uid",
    "new_template_uid",
    "new_token_uid",
    "new_upload_uid",
    "new_work_uid",
]

#: Crockford's base 32 without letters that people mix up.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26


def _new_uid(prefix: str) -> str:
    number = secrets.randbits(128)
    digits = "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * _LENGTH - 5, -1, -5))
    return f"{prefix}_{digits}"


def new_backtest_uid() -> str:
    """Return a new identifier of a backtest: ``btr_`` and 26 characters."""
    return _new_uid("btr")


def new_challenge() -> str:
    """Return what an endpoint of webhooks must repeat: ``chl_`` and 26 characters."""
    return _new_uid("chl")


def new_upload_uid() -> str:
    """Return a new identifier of an upload: ``upl_`` and 26 characters."""
    return _new_uid("upl")


def new_mapping_uid() -> str:
    """Return a new identifier of a version of a mapping: ``map_`` and 26 characters."""
    return _new_uid("map")


def new_template_uid() -> str:
    """Return a new identifier of a template: ``tpl_`` and 26 characters."""
    return _new_uid("tpl")


def new_finding_uid() -> str:
    """Return a new identifier of a finding: ``fnd_`` and 26 characters."""
    return _new_uid("fnd")


def new_token_uid() -> str:
    """Return a new identifier of an API token: ``tok_`` and 26 characters."""
    return _new_uid("tok")


def new_run_uid() -> str:
    """Return a new identifier of a watch run: ``run_`` and 26 characters."""
    return _new_uid("run")


def new_endpoint_uid() -> str:
    """Return a new identifier of an endpoint: ``whe_`` and 26 characters."""
    return _new_uid("whe")


def new_message_uid() -> str:
    """Return a new ``webhook-id``: ``msg_`` and 26 characters."""
    return _new_uid("msg")


def new_delivery_uid() -> str:
    """Return a new identifier of a delivery: ``whd_`` and 26 characters."""
    return _new_uid("whd")


def new_alert_uid() -> str:
    """Return a new identifier of an alert: ``alr_`` and 26 characters."""
    return _new_uid("alr")


def new_channel_uid() -> str:
    """Return a new identifier of a channel: ``chn_`` and 26 characters."""
    return _new_uid("chn")


def new_route_uid() -> str:
    """Return a new identifier of a route: ``rte_`` and 26 characters."""
    return _new_uid("rte")


def new_digest_uid() -> str:
    """Return a new identifier of a digest of alerts: ``dig_`` and 26 characters."""
    return _new_uid("dig")


def new_silence_uid() -> str:
    """Return a new identifier of a silence: ``sil_`` and 26 characters."""
    return _new_uid("sil")


def new_notification_uid() -> str:
    """Return a new identifier of a notification: ``ntf_`` and 26 characters."""
    return _new_uid("ntf")


def new_rule_uid() -> str:
    """Return a new identifier of a rule: ``rul_`` and 26 characters."""
    return _new_uid("rul")


def new_authorization_uid() -> str:
    """Return a new identifier of an authorization: ``aut_`` and 26 characters."""
    return _new_uid("aut")


def new_authorization_import_uid() -> str:
    """Return a new identifier of an import of authorizations: ``aim_`` and 26 characters."""
    return _new_uid("aim")


def new_lead_time_uid() -> str:
    """Return a new identifier of a payer's lead time: ``ltm_`` and 26 characters."""
    return _new_uid("ltm")


def new_audit_uid() -> str:
    """Return a new identifier of an entry of the audit trail: ``aud_`` and 26 characters."""
    return _new_uid("aud")


def new_report_uid() -> str:
    """Return a new identifier of a report: ``rpt_`` and 26 characters."""
    return _new_uid("rpt")


def new_schedule_uid() -> str:
    """Return a new identifier of a schedule of reports: ``sch_`` and 26 characters."""
    return _new_uid("sch")


def new_export_uid() -> str:
    """Return a new identifier of an export: ``exp_`` and 26 characters."""
    return _new_uid("exp")


def new_automation_rule_uid() -> str:
    """Return a new identifier of a rule of automation: ``aur_`` and 26 characters."""
    return _new_uid("aur")


def new_execution_uid() -> str:
    """Return a new identifier of an execution of a rule: ``axe_`` and 26 characters."""
    return _new_uid("axe")


def new_approval_uid() -> str:
    """Return a new identifier of an approval: ``apv_`` and 26 characters."""
    return _new_uid("apv")


def new_work_uid() -> str:
    """Return a new identifier of work for people: ``wrk_`` and 26 characters."""
    return _new_uid("wrk")
