"""The ``webhooks`` section of the OpenAPI document: what an endpoint is sent, and how it answers.

:func:`describe_webhooks` is a postprocessing hook of drf-spectacular; our own schema view has it,
a host that makes its own document adds it there. It describes every event type that is registered,
also those of plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimkit.webhooks.payloads import Detail, body_schema, example_body
from claimkit.webhooks.signing import HOP, ID, SIGNATURE, TIMESTAMP
from claimkit_django.conf import config
from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from claimkit.webhooks.payloads import EventType

__all__ = ["describe_webhooks"]

_HEADERS = {
    ID: "Identifies the message; the same at each attempt and replay.",
    TIMESTAMP: "Seconds since 1970 at which this attempt was signed.",
    SIGNATURE: "One signature per valid key, separated by blanks, such as `v1,…`.",
    HOP: "Which site sent it; pass it on with what you pass on, so that no webhook goes in circles.",
}
_ANSWERS = {
    "2XX": {"description": "Taken; the body is not read."},
    "410": {"description": "The endpoint is disabled and gets no more."},
    "429": {"description": "Tried again, not before `Retry-After`; the same for 502, 503 and 504."},
    "default": {"description": "Tried again later, for 75 hours in all."},
}


def describe_webhooks(
    result: dict[str, Any], generator: Any, request: Any, public: Any
) -> dict[str, Any]:
    """Add the event types to an OpenAPI 3.1 document; return it."""
    del generator, request, public
    from_where = config().webhooks.egress_addresses
    sent_from = f"Sent from {', '.join(from_where)}." if from_where else ""
    types = sorted(plugins().event_types.values(), key=lambda one: one.name)
    result["webhooks"] = {one.name: {"post": _operation(one, sent_from)} for one in types}
    return result


def _operation(event_type: EventType, sent_from: str) -> dict[str, Any]:
    forms = [Detail.THIN, Detail.FULL] if event_type.more is not None else [Detail.THIN]
    schemas = [body_schema(event_type, form) for form in forms]
    return {
        "operationId": f"webhook_{event_type.name.replace('.', '_')}",
        "summary": event_type.description,
        **({"description": sent_from} if sent_from else {}),
        "tags": ["webhooks"],
        # Signed instead; see the headers.
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": description,
                "schema": {"type": "string"},
            }
            for name, description in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas},
                    "examples": {
                        form.value: {"value": example_body(event_type, form)} for form in forms
                    },
                }
            },
        },
        "responses": _ANSWERS,
    }
