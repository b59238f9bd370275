"""Three tenants with a few rows each, and a person of every role."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.claims.ledger import claim_key
from claimkit.claims.model import Outcome
from claimkit.tenants import Role
from claimkit.types import day_of
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.alerts.models import Alert, Channel, Digest, Route, Rule, Silence
from claimkit_django.audit.models import AuditEntry
from claimkit_django.authorizations.models import Authorization, AuthorizationImport, LeadTime
from claimkit_django.automation.models import Approval, Execution, Work
from claimkit_django.automation.models import Rule as AutomationRule
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import (
    Claim,
    CsvTemplate,
    Dimension,
    MappingVersion,
    RejectedRow,
    Upload,
)
from claimkit_django.drift.models import (
    BacktestRun,
    CubeDecision,
    DriftDimension,
    Finding,
    WatchRun,
)
from claimkit_django.reports.models import ExportRun, ReportFile, ReportRun, ReportSchedule
from claimkit_django.tenants.models import Membership, Tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.models import Delivery, Endpoint, Message


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture(autouse=True)
def _middleware(settings):
    settings.MIDDLEWARE = [
        "claimkit_django.http.request_ids.RequestIdMiddleware",
        "claimkit_django.http.problems.ProblemMiddleware",
        "claimkit_django.http.versions.ApiVersionMiddleware",
        *settings.MIDDLEWARE,
    ]


#: What a report keeps of a number.
NUMBER = {
    "id": "num_5c1f0b7a9d3e2468",
    "label": "Decided",
    "kind": "count",
    "value": 100,
    "at": "/key_figures/4/value",
    "method": "value",
    "origins": [
        {
            "type": "CellOrigin",
            "measure": "claims",
            "first": "2026-03-01",
            "last": "2026-03-31",
            "payers": [],
            "procedure_groups": [],
            "outcome": "",
        }
    ],
}


class House:
    """One tenant with its people and rows."""

    def __init__(self, key, payers):
        self.tenant = Tenant.objects.create(key=key, name=key.title(), timezone="UTC")
        self.key = key
        self.people = {}
        for role in Role:
            user = get_user_model().objects.create_user(f"{role.value}@{key}", password="x")
            Membership.objects.create(tenant=self.tenant, user=user, role=role.value)
            self.people[role] = user
        with enter(self.tenant):
            self._make_rows(payers)

    def _make_rows(self, payers):
        for code, name in enumerate(payers, start=1):
            Dimension.objects.create(axis="payer", code=code, name=name)
        Dimension.objects.create(axis="procedure_group", code=9, name="Imaging: MRI")
        self.claims = []
        for number in range(6):
            denied = number % 3 == 0
            decided = dt.date(2026, 3, 1) + dt.timedelta(days=number)
            self.claims.append(
                Claim.objects.create(
                    claim_key=claim_key(f"{self.key}-{number}"),
                    patient_control_number=f"{self.key}-{number}",
                    payer=1 + number % len(payers),
                    procedure_group=9,
                    outcome=OUTCOMES[Outcome.DENIED if denied else Outcome.PAID],
                    decided_on=decided,
                    listed_on=decided,
                    charge=123_456,
                    paid=0 if denied else 100_050,
                    allowed=None if denied else 110_000,
                )
            )
        self._make_cells(payers)
        self.run = WatchRun.objects.create(
            status=WatchRun.Status.SUCCESS,
            as_of=dt.date(2026, 4, 6),
            new=1,
            started_at=timezone.now(),
            heartbeat_at=timezone.now(),
            finished_at=timezone.now(),
        )
        self.upload = Upload.objects.create(
            name="era.835",
            bytes_total=10,
            bytes_done=10,
            status=Upload.Status.PARTIAL,
            rows_rejected=2,
            header=["Claim ID", "Billed"],
            known_on=dt.date(2026, 3, 9),
            started_at=timezone.now(),
            finished_at=timezone.now(),
        )
        for ordinal, cell in enumerate(["=HYPERLINK(0)", "-12..5"]):
            RejectedRow.objects.create(
                upload=self.upload,
                ordinal=ordinal,
                position=17 + ordinal,
                kind="csv",
                code="money_invalid",
                message="the amount is not a number",
                remedy="Correct it",
                field_name="Billed",
                raw=["A1007", cell],
            )
        self.finding = self.make_finding("open", dollars=4_821_000)

    def furnish(self):
        """Add one row of each kind that there is an address for."""
        with enter(self.tenant):
            self.backtest = BacktestRun.objects.create()
            self.mapping = MappingVersion.objects.create(
                number=1, status=MappingVersion.Status.APPLIED
            )
            self.template = CsvTemplate.objects.create(name="export of the practice")
            self.report = ReportRun.objects.create(
                kind="monthly",
                first=dt.date(2026, 3, 1),
                last=dt.date(2026, 3, 31),
                changes={"numbers": [NUMBER], "compared_with": "", "came": [], "went": []},
            )
            self.number = NUMBER["id"]
            ReportFile.objects.create(
                run=self.report,
                renderer="html",
                media_type="text/html",
                file=ContentFile(b"<p>", "report.html"),
                bytes=3,
            )
            self.schedule = ReportSchedule.objects.create(kind="monthly", formats=["html"])
            self.export = ExportRun.objects.create(
                source="claims", form="csv", file=ContentFile(b"uid", "export.csv")
            )
            self.endpoint = Endpoint.objects.create(
                url="https://hooks.example.org/in", event_types=["*"]
            )
            now = timezone.now()
            self.alert = Alert.objects.create(
                fingerprint="fp",
                severity="low",
                source="drift",
                kind="denial_rate",
                opened_at=now,
                seen_at=now,
            )
            self.authorization = Authorization.objects.create(
                number="A-417",
                payer="Aetna",
                procedure="97110",
                valid_from=now.date(),
                valid_until=now.date(),
                units_authorized=24,
            )
            told = {
                "rule": "aur_0",
                "rule_name": "Dear ones",
                "topic": "drift.detected",
                "subject": self.finding.fingerprint,
            }
            self.automation_rule = AutomationRule.objects.create(
                name="Dear ones",
                topic="drift.detected",
                action="create_task",
                settings={"text": "Call"},
            )
            self.execution = Execution.objects.create(
                **told, action="appeal_packet", event_key="0", result="success", at=now
            )
            self.approval = Approval.objects.create(
                **told,
                action="create_task",
                settings={"text": "Call", "due_days": None},
                event_key="0",
                asked_at=now,
            )
            self.work = Work.objects.create(**told, kind="task", text="Call", created_at=now)
            self.lead_time = LeadTime.objects.create(payer="Aetna", days=21)
            self.authorization_import = AuthorizationImport.objects.create(imported_at=now)
            self.channel = Channel.objects.create(name="Log", kind="log")
            self.route = Route.objects.create(name="All")
            self.rule = Rule.objects.create(
                name="Dear",
                metric="dollars_per_month",
                comparison="at_least",
                threshold=10_000,
                severity="critical",
            )
            self.digest = Digest.objects.create(
                channels=[self.channel.uid],
                name="Daily",
                at=dt.time(7),
                next_at=timezone.now(),
                told_until=timezone.now(),
            )
            self.silence = Silence.objects.create(
                begins_at=now, ends_at=now + dt.timedelta(days=1), reason="x", actor="user:1"
            )
            message = Message.objects.create(
                uid=f"msg_{self.key}",
                event_type="claims.imported",
                version=1,
                detail="thin",
                occurred_at=timezone.now(),
                body=b"{}",
            )
            self.delivery = Delivery.objects.create(
                message=message, lane=self.endpoint, due_at=timezone.now()
            )
        row, _ = issue_token(
            user=self.people[Role.OWNER],
            tenant=self.tenant,
            name="nightly",
            scope="read",
            expires_at=timezone.now() + dt.timedelta(days=1),
        )
        self.audited = AuditEntry.unscoped.filter(tenant=self.tenant)[0]
        self.token = row.uid

    def _make_cells(self, payers):
        """Post what the watch would know of the claims: the cube has its own dictionary."""
        names = [("outcome", "paid"), ("outcome", "authorization_referral")]
        names += [("procedure_group", "Imaging: MRI"), ("reason", "CO-197")]
        names += [("payer", name) for name in payers]
        codes = {pair: code for code, pair in enumerate(names, start=1)}
        for (axis, name), code in codes.items():
            DriftDimension.objects.create(axis=axis, code=code, name=name)
        for number, claim in enumerate(self.claims):
            denied = number % 3 == 0
            CubeDecision.objects.create(
                decided_day=day_of(claim.decided_on),
                known_day=day_of(claim.decided_on),
                payer=codes["payer", payers[number % len(payers)]],
                procedure_group=codes["procedure_group", "Imaging: MRI"],
                outcome=codes["outcome", "authorization_referral" if denied else "paid"],
                reason=codes["reason", "CO-197"] if denied else 0,
                age_days=12,
                claims=1,
                charge=claim.charge,
                allowed=claim.allowed or 0,
                paid=claim.paid,
            )

    def make_finding(self, state, *, dollars):
        with enter(self.tenant):
            return Finding.objects.create(
                fingerprint=f"{self.key}-{dollars}",
                state=state,
                signal="denial_rate",
                detector="lattice",
                tier="alert",
                severity="high",
                severity_rank=3,
                payer="Aetna",
                procedure_groups=["Imaging: MRI"],
                category="authorization_referral",
                onset=dt.date(2026, 3, 2),
                as_of=dt.date(2026, 4, 6),
                ended_on=dt.date(2026, 4, 1) if state == "resolved" else None,
                unit="share",
                baseline=0.08,
                current=0.21,
                effect=0.13,
                low=0.09,
                high=0.17,
                claims=412,
                dollars_per_month=dollars,
                score=31.2,
                threshold=14.0,
                summary="Aetna denies more.",
                why=["far above chance"],
                evidence={"observed": [0.08, 0.21]},
            )

    def client(self, role=Role.VIEWER):
        """Return a client that is signed in as the person with ``role``."""
        client = APIClient()
        client.force_login(self.people[role])
        return client


@pytest.fixture
def world(db):
    """Two tenants, ``north`` and ``south``."""
    return SimpleNamespace(
        north=House("northside", ["Aetna", "Cigna"]), south=House("southside", ["Humana"])
    )


@pytest.fixture
def west(world):
    """Return a third tenant, ``west``."""
    world.west = House("westside", ["Oscar"])
    return world.west
