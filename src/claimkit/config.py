"""One frozen dataclass per room: the only place where defaults live.

``Config.from_mapping({"DRIFT": {"budget": 0.1}})`` is what Django's ``CLAIMKIT`` setting and the
command line share. Unknown keys are errors that name the nearest valid one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from claimkit.errors import ConfigError, did_you_mean

__all__ = [
    "AccountsConfig",
    "AlertsConfig",
    "AuditConfig",
    "AuthorizationsConfig",
    "AutomationConfig",
    "ClaimsConfig",
    "Config",
    "DashboardConfig",
    "DriftConfig",
    "OpsConfig",
    "PluginsConfig",
    "ReportsConfig",
    "RestConfig",
    "TenantsConfig",
    "WebhooksConfig",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantsConfig:
    """Settings of the tenants room."""

    #: Enable PostgreSQL row-level security as a second wall.
    row_level_security: bool = False
    #: Request header by which a member of several tenants chooses one.
    header: str = "X-Tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsConfig:
    """Settings of the claims room."""

    #: Largest body in bytes that the FHIR intake takes.
    max_intake_bytes: int = 67_108_864
    #: Who may send FHIR as signed webhooks: ``tenant:sender``, or ``tenant:sender:2`` once its key was
    #: changed; ``claimkit_intake_key`` says the key.
    signed_senders: tuple[str, ...] = ()
    #: Most claims per batch and transaction; at most 5,000 unless each is one row of a CSV.
    batch_size: int = 10_000
    #: Rejected rows after which a file is refused.
    max_problems: int = 1_000
    #: Share of rejected rows after which a file is refused, once 1,000 rows were read.
    max_problem_share: float = 0.2
    #: Secret from which each tenant's key for patient tokens is derived.
    #: Empty: Django derives it from SECRET_KEY, the command line makes one per store.
    patient_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftConfig:
    """Settings of the drift room; the method is in ``explanation/drift``."""

    #: Detectors to run, by name; they share the budget.
    detectors: tuple[str, ...] = ("lattice", "volume", "payment", "contract")
    #: Further dimensions by which a change is narrowed down, such as ``facility``; rebuild the cube
    #: after choosing others.
    dimensions: tuple[str, ...] = ()
    #: False alerts per tenant and month that are tolerated, all signals together.
    budget: float = 0.10
    #: The same for the watch tier, which is shown but never pushed.
    watch_budget: float = 1.0
    #: Days of baseline before the scan range.
    baseline_days: int = 182
    #: Payers with fewer days of baseline than this are "learning"; with two more weeks to look at,
    #: a payer can be watched.
    min_baseline_days: int = 90
    #: Relative change of expected denials that is never an alert (slow benign trends).
    dead_zone: float = 0.05
    #: Past nights that each run looks at again, so that nothing is missed between two runs.
    scan_days: int = 56
    #: The same for a tenant's first run.
    first_scan_days: int = 365
    #: Sources of files whose claims without a decision are scored for rules of automation as soon as
    #: they are in; none: only who asks is told.
    score_sources: tuple[str, ...] = ("fhir",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsConfig:
    """Settings of the reports room."""

    #: Findings shown in a report, most expensive first.
    max_findings: int = 50
    #: Address of a report's page, in which ``{uid}`` stands for it, such as
    #: ``https://claims.example.org/reports/{uid}/``; empty: mails have no link.
    page: str = ""
    #: Attempts to mail a report to somebody, ten minutes and then twice as long apart.
    mail_attempts: int = 6
    #: Largest attachment of a mail in bytes; what is larger is told of and not attached.
    max_attachment_bytes: int = 10_485_760
    #: Hours for which an export can be downloaded; then ``claimkit_export --prune`` removes it.
    keep_export_hours: int = 72
    #: Minutes after which a run whose heart stopped is dead; reports are then made again.
    dead_after_minutes: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RestConfig:
    """Settings of the REST API; a rate is a number of requests and a period, such as ``5/15m``."""

    #: Requests that read, per person and tenant. Empty: no limit.
    read_rate: str = "1200/1m"
    #: Requests that change something, per person and tenant. Empty: no limit.
    write_rate: str = "300/1m"
    #: Requests of callers who did not sign in, per network. Empty: no limit.
    anonymous_rate: str = "120/1m"
    #: Refused credentials per network, after which it is told to wait. Empty: no limit.
    refused_rate: str = "20/5m"
    #: Which of Django's caches counts requests; it must count atomically.
    rate_cache: str = "default"
    #: Reverse proxies in front of the site, each of which adds the address that it was called from.
    trusted_proxies: int = 0
    #: Header in which they do: X-Forwarded-For or Forwarded.
    forwarded_header: str = "X-Forwarded-For"
    #: Largest body in bytes that is not a file.
    max_body_bytes: int = 1_048_576
    #: Hours for which a repeated idempotency key gets the first answer.
    idempotency_hours: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhooksConfig:
    """Settings of the webhooks room; a wait is a number and s, m, h or d, such as ``30m``."""

    #: Waits between the attempts of one delivery; after the last one it is given up.
    #: The first attempt is made at once. 75 hours in all, as Standard Webhooks proposes.
    retry_waits: tuple[str, ...] = ("5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")
    #: Seconds that one attempt may take, from looking up the name to the last byte of the answer.
    attempt_seconds: float = 15.0
    #: Seconds of these for the connection.
    connect_seconds: float = 5.0
    #: Days of nothing but failures after which an endpoint is disabled, and for which webhooks
    #: wait for one that is not confirmed.
    disable_after_days: float = 5.0
    #: Failures in a row after which an endpoint is left alone for a while.
    circuit_failures: int = 5
    #: Send nothing but pings to an endpoint until it has repeated the challenge of one, or a
    #: person who reads its log has.
    confirm_endpoints: bool = True
    #: Endpoints of one tenant for which deliveries are written with the event; where more want
    #: it, a worker writes them, so that who caused it does not wait.
    fan_out_inline: int = 50
    #: Ports that endpoints may listen on.
    ports: tuple[str, ...] = ("443", "8443")
    #: Allow endpoints without TLS; for development only.
    allow_http: bool = False
    #: Networks that may be reached although they are not public, such as ``127.0.0.0/8``.
    allowed_networks: tuple[str, ...] = ()
    #: Proxy through which alone webhooks leave, such as ``http://egress.internal:4750``. It looks
    #: names up, and refuses networks that are not public. Empty: workers connect themselves.
    proxy: str = ""
    #: Addresses or networks that webhooks come from, for receivers that let nobody else in; shown
    #: with the event types in the OpenAPI document.
    egress_addresses: tuple[str, ...] = ()
    #: Hours for which a replaced key still signs beside the new one.
    key_overlap_hours: int = 24
    #: Secret that the keys of endpoints are encrypted with, and older ones that still decrypt.
    #: Empty: derived from Django's SECRET_KEY and SECRET_KEY_FALLBACKS.
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    #: Deliveries that a worker takes of one endpoint at a time.
    batch_size: int = 25
    #: Endpoints that one worker serves at the same time.
    threads: int = 8
    #: Seconds after which an idle worker looks again where nothing wakes it.
    poll_seconds: float = 1.0
    #: Days for which ended deliveries, their attempts and bodies, and ids of received webhooks
    #: are kept by ``claimkit_prune_webhooks``; 4 or more.
    keep_days: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsConfig:
    """Settings of the alerts room; a wait is a number and s, m, h or d, such as ``30m``."""

    #: Days within which a resolved alert opens again; after them it is a new one.
    reopen_days: int = 7
    #: Waits between the attempts of one notification; after the last one it is given up.
    retry_waits: tuple[str, ...] = ("30s", "2m", "10m", "30m", "2h", "6h")
    #: Channels that one worker serves at the same time.
    threads: int = 4
    #: Seconds after which an idle worker looks again where nothing wakes it.
    poll_seconds: float = 5.0
    #: Days for which a silence may last.
    max_silence_days: int = 90
    #: Address of an alert's page, in which ``{uid}`` stands for it, such as
    #: ``https://claims.example.org/alerts/{uid}/``; empty: notifications have no link.
    page: str = ""
    #: Days without a file with claims, once there was one, after which it is an alert. 0: never.
    no_import_days: int = 10
    #: The same for watches of drift.
    no_watch_days: int = 3
    #: Days for which a payer that was there on five days may be in no file, or twice as long as it
    #: was ever away before. 0: for ever.
    payer_silent_days: int = 21
    #: Percent of a file's rows that are rejected from which it is an alert; less needs a rule.
    rejected_percent: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsConfig:
    """Settings of the ops room: who may see how the site fares, and what counts as well."""

    #: Secrets of 16 or more characters, each of which opens health details and metrics as a
    #: bearer token; several while one replaces another.
    tokens: tuple[str, ...] = field(default=(), repr=False)
    #: Networks from which both are open without a token, such as ``192.0.2.0/24``; the address is
    #: the one behind ``REST.TRUSTED_PROXIES``.
    allowed_networks: tuple[str, ...] = ()
    #: Checks without which the site takes no requests; the others are told by ``health/`` only.
    ready: tuple[str, ...] = ("database", "cache", "migrations", "row_security")
    #: Seconds for all checks together; what has not answered then fails.
    check_seconds: float = 2.0
    #: Seconds for which an answer is kept, so that nobody can wear out the site by asking.
    keep_seconds: float = 2.0
    #: Folders that must have room. Empty: the temporary folder, and ``MEDIA_ROOT`` where it is set.
    disk_paths: tuple[str, ...] = ()
    #: Least share of each that is free, in percent.
    disk_free_percent: float = 5.0
    #: Seconds for which the oldest delivery or notification may be due.
    outbox_lag_seconds: int = 300
    #: Celery workers that must answer. 0: nobody asks them.
    workers: int = 0
    #: Who is told of alerts of the site itself, each a kind of channel and its settings as JSON, such
    #: as ``email {"to": ["ops@example.org"]}``.
    alert_channels: tuple[str, ...] = field(default=(), repr=False)
    #: Minutes over which error rate, latency and failures of tasks are computed.
    alert_window_minutes: int = 10
    #: Hours after which an alert that still holds is told again. 0: never.
    alert_repeat_hours: int = 4
    #: Which name a tenant has in metrics: none, ``key``, or ``hash``.
    tenant_label: str = ""
    #: File in which ``claimkit_backup`` notes the last backup that it verified; empty: nowhere.
    backup_status: str = ""
    #: Class of data → days for which ``claimkit_retention`` keeps it, such as ``{"claims": 2557}``;
    #: 0 keeps it for ever. Classes that are not named are kept as their room says.
    retention_days: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationsConfig:
    """Settings of the authorizations room."""

    #: Days before an end at which people are warned.
    warn_days: tuple[str, ...] = ("30", "14", "3")
    #: Days that a payer needs to answer where the tenant says nothing of it; one is warned then too.
    lead_days: int = 14
    #: Probability that units run out within the interval of the forecast.
    interval: float = 0.8
    #: Days for which the address of a calendar can be read.
    calendar_days: int = 365
    #: Largest file in bytes that is imported.
    max_import_bytes: int = 10_485_760


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Settings of the audit room."""

    #: Also keep who opened or looked up which claim.
    reads: bool = True
    #: Leading bits of an IPv4 address that are kept; 32 keeps all of it, 0 nothing.
    ipv4_bits: int = 24
    #: Leading bits of an IPv6 address that are kept; 128 keeps all of it, 0 nothing.
    ipv6_bits: int = 48
    #: Minutes after which ``claimkit_audit_verify`` minds an entry that no link holds yet.
    link_minutes: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsConfig:
    """Settings of the accounts room; a rate is a number of attempts and a period."""

    #: Attempts to sign in to one account from one network. Empty: no limit.
    login_rate: str = "5/15m"
    #: The same from all networks together, except those that the person signed in from lately.
    login_account_rate: str = "50/1h"
    #: Attempts to sign in to any account from one network.
    login_network_rate: str = "30/15m"
    #: Mails to one account that let its person choose a new password. Empty: no limit.
    reset_rate: str = "3/1h"
    #: The same for all accounts together, from one network.
    reset_network_rate: str = "10/1h"
    #: Hours for which a link in such a mail holds; Django's PASSWORD_RESET_TIMEOUT may end it earlier.
    reset_hours: int = 24
    #: Host name for such links, such as ``claims.example.org``. Empty: that of the request.
    domain: str = ""
    #: Minutes without a request after which a session ends.
    idle_minutes: int = 30
    #: Hours after which a session ends however busy it is.
    session_hours: int = 12
    #: Beginnings of paths that pages ask by themselves, and that keep no session alive.
    idle_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationConfig:
    """Settings of the automation room."""

    #: False: no rule acts; those that would are only written down.
    may_act: bool = True
    #: Failures in a row after which a rule rests.
    circuit_failures: int = 3
    #: Minutes for which it does.
    circuit_minutes: int = 60
    #: Rules that a tenant may have.
    max_rules: int = 200
    #: Seconds after which an action that has not answered is a failure.
    action_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardConfig:
    """Settings of the dashboard."""

    #: Rows on a page of a list.
    page_size: int = 25
    #: Seconds between two looks at what a worker is doing.
    poll_seconds: int = 2
    #: Send the strictest content security policy with each page. False: the site sends its own.
    strict_policy: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsConfig:
    """Which plugins may load."""

    #: Entry-point names that are blocked.
    disabled: tuple[str, ...] = ()
    #: Entry-point names that must load: without them nothing starts, so that no file is read
    #: without the normalizer that it needs. Any other plugin that fails is left out and told.
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one process."""

    tenants: TenantsConfig = field(default_factory=TenantsConfig)
    claims: ClaimsConfig = field(default_factory=ClaimsConfig)
    drift: DriftConfig = field(default_factory=DriftConfig)
    reports: ReportsConfig = field(default_factory=ReportsConfig)
    rest: RestConfig = field(default_factory=RestConfig)
    webhooks: WebhooksConfig = field(default_factory=WebhooksConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    ops: OpsConfig = field(default_factory=OpsConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    accounts: AccountsConfig = field(default_factory=AccountsConfig)
    authorizations: AuthorizationsConfig = field(default_factory=AuthorizationsConfig)
    automation: AutomationConfig = field(default_factory=AutomationConfig)
    dashboard: DashboardConfig = field(default_factory=DashboardConfig)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Mapping[str, Any]]) -> Config:
        """Build a configuration from upper- or lower-case room and setting names.

        Raises:
            ConfigError: unknown room or setting, or a value of the wrong type.

        >>> Config.from_mapping({"DRIFT": {"BUDGET": 0.2}}).drift.budget
        0.2
        >>> Config.from_mapping({"DRIFT": {"bugdet": 0.2}})
        Traceback (most recent call last):
        claimkit.errors.ConfigError: unknown setting DRIFT['bugdet']; did you mean 'budget'?
        """
        rooms = {room.name: room for room in dataclasses.fields(cls)}
        made: dict[str, Any] = {}
        for room, settings in mapping.items():
            if room.lower() not in rooms:
                raise ConfigError(f"unknown room {room!r}{did_you_mean(room.lower(), rooms)}")
            made[room.lower()] = _fill(rooms[room.lower()], room, settings)
        return cls(**made)


def _fill(room: dataclasses.Field[Any], label: str, settings: Mapping[str, Any]) -> Any:
    kind: Any = room.default_factory
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{label} must be a mapping, not {type(settings).__name__}")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in settings.items():
        key = name.lower()
        if key not in hints:
            raise ConfigError(f"unknown setting {label}[{name!r}]{did_you_mean(key, hints)}")
        values[key] = _convert(value, hints[key], f"{label}[{name!r}]")
    return kind(**values)


def _convert(value: Any, hint: Any, label: str) -> Any:
    if hint == tuple[str, ...] and isinstance(value, (list, tuple)):
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint == Mapping[str, int] and isinstance(value, Mapping):
        wrong = [name for name, one in value.items() if type(one) is not int]
        if wrong:
            raise ConfigError(f"{label}[{wrong[0]!r}] must be int")
        return dict(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{label} must be {wanted}, not {type(value).__name__}")
