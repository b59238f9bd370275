"""Rows of the webhooks room: endpoints and their keys, messages, deliveries, attempts."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from claimkit.outbox import DeliveryState
from claimkit.webhooks.health import Health
from claimkit.webhooks.payloads import Detail
from claimkit_django.outbox import LaneRow, OutboxRow
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import new_challenge, new_delivery_uid, new_endpoint_uid

__all__ = ["Attempt", "Delivery", "Endpoint", "EndpointKey", "Message", "ReceivedMessage"]


class Endpoint(LaneRow, TenantModel):
    """A receiver, what it wants to hear, and how it fares."""

    audited = Audited(
        kind="webhook_endpoint",
        shown=(
            *("event_types", "detail", "enabled", "disabled_reason", "legacy_signature"),
            *("confirmed_at", "order"),
        ),
        # Addresses and headers may hold the receiver's own secrets.
        hidden=("url", "sealed_headers", "sealed_tls"),
        computed={"host": "url"},
    )

    class DetailChoices(models.TextChoices):
        """Mirrors :class:`claimkit.webhooks.payloads.Detail`."""

        THIN = Detail.THIN.value, _("Identifiers only")
        FULL = Detail.FULL.value, _("With payer and money")

    class OrderChoices(models.TextChoices):
        """Which deliveries wait until an earlier one is over."""

        ANY = "any", _("None: the fastest")
        SUBJECT = "subject", _("Those about the same thing")
        ALL = "all", _("All")

    uid = models.CharField(max_length=32, default=new_endpoint_uid, editable=False)
    url = models.CharField(max_length=2_000)
    description = models.CharField(max_length=200, blank=True)
    #: Sorted names of event types, or ``["*"]``.
    event_types = models.JSONField(default=list)
    detail = models.CharField(
        max_length=8, choices=DetailChoices.choices, default=DetailChoices.THIN
    )
    enabled = models.BooleanField(default=True)
    #: Why it was disabled: ``gone``, ``failing`` or ``by_hand``; empty while it is enabled.
    disabled_reason = models.CharField(max_length=32, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    #: When its receiver showed that it wants webhooks; until then it gets nothing but pings.
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: What a receiver shows it with; nobody but the receiver is told.
    challenge = models.CharField(max_length=32, default=new_challenge, editable=False)
    #: Also sign the body alone in ``X-Signature``, for old receivers.
    legacy_signature = models.BooleanField(default=False)
    #: Further headers, encrypted JSON.
    sealed_headers = models.BinaryField(default=b"", blank=True)
    #: Certificates of its own, encrypted JSON: see :mod:`claimkit.webhooks.trust`.
    sealed_tls = models.BinaryField(default=b"", db_default=b"", blank=True)
    order = models.CharField(
        max_length=8,
        choices=OrderChoices.choices,
        default=OrderChoices.ANY,
        db_default=OrderChoices.ANY.value,
    )
    failures = models.IntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="webhooks_endpoint_uid"),
            # What composite foreign keys lead to.
            models.UniqueConstraint(fields=["tenant", "id"], name="webhooks_endpoint_id"),
            models.CheckConstraint(condition=~Q(url=""), name="webhooks_endpoint_url"),
            models.CheckConstraint(
                condition=Q(detail__in=[one.value for one in Detail]),
                name="webhooks_endpoint_detail",
            ),
            models.CheckConstraint(
                condition=Q(order__in=["any", "subject", "all"]), name="webhooks_endpoint_order"
            ),
            models.CheckConstraint(condition=Q(width__gte=1), name="webhooks_endpoint_width"),
            models.CheckConstraint(
                condition=Q(enabled=True, disabled_reason="") | Q(enabled=False),
                name="webhooks_endpoint_enabled",
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.uid

    @property
    def host(self) -> str:
        """Name of the receiver, without what follows it."""
        return urlsplit(self.url).hostname or ""

    def to_health(self) -> Health:
        """Return how it fares, as the core knows it."""
        return Health(
            failures=self.failures,
            failing_since=self.failing_since,
            held_until=self.held_until,
        )


class EndpointKey(TenantModel):
    """A key that signs for one endpoint; the key itself is encrypted and was shown once."""

    audited = Audited(kind="webhook_key", shown=("version", "expires_at"), target="fingerprint")

    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="keys", db_index=False, db_constraint=False
    )
    sealed = models.BinaryField()
    #: ``v1`` or ``v1a``.
    version = models.CharField(max_length=4)
    fingerprint = models.CharField(max_length=8)
    #: ``whpk_…`` of an Ed25519 pair, which receivers may know; empty for shared secrets.
    public = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "fingerprint"], name="webhooks_key_once"),
            TenantForeignKey(
                fields=["tenant", "endpoint"],
                to="claimkit_webhooks.Endpoint",
                to_fields=["tenant", "id"],
                name="webhooks_key_endpoint",
            ),
        ]
        indexes = [models.Index(fields=["endpoint", "-id"], name="webhooks_key_of_endpoint")]

    def __str__(self) -> str:
        return self.fingerprint


class Message(TenantModel):
    """The bytes that are sent of one event, in one form; the same for every endpoint and attempt."""

    #: ``webhook-id``.
    uid = models.CharField(max_length=32)
    event_type = models.CharField(max_length=100)
    version = models.IntegerField()
    detail = models.CharField(max_length=8, choices=Endpoint.DetailChoices.choices)
    occurred_at = models.DateTimeField()
    body = models.BinaryField()
    #: What it is about: :func:`claimkit.webhooks.payloads.subject_of`.
    subject = models.CharField(max_length=100, default="", db_default="", blank=True)
    #: A worker writes the deliveries for endpoints with a greater id; null where all are written.
    fan_out_after = models.BigIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(detail__in=[one.value for one in Detail]),
                name="webhooks_message_detail",
            ),
            models.UniqueConstraint(
                fields=["tenant", "uid", "detail"], name="webhooks_message_once"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="webhooks_message_id"),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(fan_out_after__isnull=False),
                name="webhooks_message_fan_out",
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class Delivery(OutboxRow, TenantModel):
    """One message for one endpoint."""

    uid = models.CharField(max_length=32, default=new_delivery_uid, editable=False)
    message = models.ForeignKey(
        Message, models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    #: The endpoint.
    lane = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    #: See :class:`claimkit.outbox.Delivery`; empty where the endpoint takes any order.
    queue = models.CharField(max_length=100, default="", db_default="", blank=True, editable=False)
    #: 0 for the first; then one more for each replay of the message to the endpoint.
    replay = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        indexes = [
            # What a lease looks for.
            models.Index(
                fields=["lane", "due_at", "id"],
                condition=Q(state__in=["due", "leased"]),
                name="webhooks_delivery_due",
            ),
            models.Index(
                fields=["lane", "due_at"],
                condition=Q(state="leased"),
                name="webhooks_delivery_leased",
            ),
            models.Index(fields=["tenant", "lane", "-id"], name="webhooks_delivery_of_lane"),
            # What must be over before the next one of its queue.
            models.Index(
                fields=["lane", "queue", "id"],
                condition=Q(state__in=["due", "leased"]) & ~Q(queue=""),
                name="webhooks_delivery_queue",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="webhooks_delivery_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="webhooks_delivery_id"),
            models.UniqueConstraint(
                fields=["tenant", "message", "lane", "replay"], name="webhooks_delivery_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[one.value for one in DeliveryState]),
                name="webhooks_delivery_state",
            ),
            models.CheckConstraint(
                condition=Q(attempts__gte=0, replay__gte=0), name="webhooks_delivery_counts"
            ),
            TenantForeignKey(
                fields=["tenant", "lane"],
                to="claimkit_webhooks.Endpoint",
                to_fields=["tenant", "id"],
                name="webhooks_delivery_endpoint",
            ),
            TenantForeignKey(
                fields=["tenant", "message"],
                to="claimkit_webhooks.Message",
                to_fields=["tenant", "id"],
                name="webhooks_delivery_message",
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class Attempt(TenantModel):
    """What happened once; written with what became of the delivery, and never changed."""

    delivery = models.ForeignKey(
        Delivery, models.CASCADE, related_name="attempts_made", db_index=False, db_constraint=False
    )
    number = models.IntegerField()
    started_at = models.DateTimeField()
    milliseconds = models.IntegerField()
    #: What the receiver answered; 0 for nothing.
    status = models.IntegerField()
    #: Empty for a success.
    reason = models.CharField(max_length=32, blank=True)
    #: The beginning of the answer to a failure, encrypted.
    sealed_response = models.BinaryField(default=b"", blank=True)
    #: Fingerprints of the keys that signed, separated by spaces.
    key_fingerprints = models.CharField(max_length=160, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        indexes = [models.Index(fields=["delivery", "id"], name="webhooks_attempt_delivery")]
        constraints = [
            TenantForeignKey(
                fields=["tenant", "delivery"],
                to="claimkit_webhooks.Delivery",
                to_fields=["tenant", "id"],
                name="webhooks_attempt_delivery_fk",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.reason or self.status}"


class ReceivedMessage(models.Model):
    """The id of a webhook that *we* received, so that its repetitions do nothing."""

    #: Name that the view gives its sender; ids of two senders never meet.
    source = models.CharField(max_length=100)
    message_id = models.CharField(max_length=128)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "message_id"], name="webhooks_received_once")
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.message_id}"
