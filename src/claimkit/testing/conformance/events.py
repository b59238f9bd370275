"""What every listener, and every event type of webhooks, must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import copy
import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from claimkit.claims.privacy import find_personal
from claimkit.errors import InvalidPayload
from claimkit.events import Bus, Event
from claimkit.webhooks.payloads import Detail, body_schema, example_body, make_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claimkit.events import Listener
    from claimkit.types import Json
    from claimkit.webhooks.payloads import EventType

__all__ = ["EventTypeConformance", "ListenerConformance"]

#: Seconds: listeners run while somebody waits, those of a transaction while its locks are held.
_MOST_SECONDS = 0.25
_TOPIC = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "null": (type(None),),
}


class ListenerConformance:
    """Subclass it and give it the fixtures ``listener`` and ``events``."""

    @pytest.fixture
    def listener(self) -> Listener:
        """Override: the listener under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'listener'")

    @pytest.fixture
    def events(self) -> Sequence[Event]:
        """Override: an event of each topic that it listens to, a few if it listens to all."""
        raise NotImplementedError("a conformance suite needs a fixture called 'events'")

    def test_it_says_who_it_is_and_what_it_hears(self, listener: Listener) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_.-]{0,63}", listener.name)
        assert isinstance(listener.topics, frozenset)
        assert all(_TOPIC.fullmatch(topic) for topic in listener.topics)
        assert listener.phase in ("transaction", "committed")

    def test_the_events_are_of_its_topics(
        self, listener: Listener, events: Sequence[Event]
    ) -> None:
        heard = {one.topic for one in events}

        assert events
        assert not listener.topics or listener.topics == heard

    def test_it_takes_every_event_quickly_and_leaves_it_as_it_is(
        self, listener: Listener, events: Sequence[Event]
    ) -> None:
        for event in events:
            before = copy.deepcopy(event)
            began = time.perf_counter()
            following = tuple(listener.handle(event) or ())

            assert time.perf_counter() - began < _MOST_SECONDS
            assert event == before
            assert all(isinstance(one, Event) and one.tenant == event.tenant for one in following)
            # Nobody would hear what follows after the commit.
            assert listener.phase == "transaction" or not following

    def test_the_same_event_twice_does_no_harm(
        self, listener: Listener, events: Sequence[Event]
    ) -> None:
        bus = Bus([listener])

        for _ in range(2):
            with bus.transaction():
                for event in events:
                    bus.stage(event)

    def test_nothing_personal_is_logged(
        self, listener: Listener, events: Sequence[Event], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            for event in events:
                listener.handle(event)

        assert [one for one in caplog.records if find_personal(one.getMessage())] == []


class EventTypeConformance:
    """Subclass it and give it the fixtures ``event_type`` and ``event``."""

    @pytest.fixture
    def event_type(self) -> EventType:
        """Override: the event type under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'event_type'")

    @pytest.fixture
    def event(self) -> Event:
        """Override: an event that it tells of."""
        raise NotImplementedError("a conformance suite needs a fixture called 'event'")

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Override: texts of the event that no receiver may see, such as a name of a patient."""
        return ()

    def test_it_tells_of_the_event(self, event_type: EventType, event: Event) -> None:
        assert event_type.name == event.topic
        assert event_type.description.endswith(".")

    @pytest.mark.parametrize("detail", list(Detail))
    def test_what_is_sent_is_what_its_schema_says(
        self, event_type: EventType, event: Event, detail: Detail
    ) -> None:
        try:
            sent = json.loads(make_body(event_type, event, detail))
        except InvalidPayload as refused:
            pytest.fail(str(refused))

        assert _misfits(sent, body_schema(event_type, detail)) == []

    @pytest.mark.parametrize("detail", list(Detail))
    def test_the_example_is_what_its_schema_says(
        self, event_type: EventType, detail: Detail
    ) -> None:
        shown = json.loads(json.dumps(example_body(event_type, detail)))

        assert _misfits(shown, body_schema(event_type, detail)) == []

    @pytest.mark.parametrize("detail", list(Detail))
    def test_nothing_personal_is_sent(
        self, event_type: EventType, event: Event, secrets: Sequence[str], detail: Detail
    ) -> None:
        text = make_body(event_type, event, detail).decode()

        assert [one for one in _texts(json.loads(text)["data"]) if find_personal(one)] == []
        assert [one for one in secrets if one in text] == []

    def test_the_same_event_is_the_same_bytes(self, event_type: EventType, event: Event) -> None:
        for detail in Detail:
            assert make_body(event_type, event, detail) == make_body(event_type, event, detail)


def _misfits(value: Any, schema: Mapping[str, Any], at: str = "body") -> list[str]:
    """Return where a value is not what a schema says, as far as bodies of webhooks use JSON Schema."""
    if "const" in schema:
        return [] if value == schema["const"] else [at]
    if "enum" in schema and value not in schema["enum"]:
        return [at]
    wanted = schema.get("type", ())
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    kinds = tuple(kind for name in names for kind in _TYPES[name])
    # To Python a bool is an int; to a receiver it is not.
    if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        return [at]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        missing = [f"{at}.{one}" for one in schema.get("required", ()) if one not in value]
        if schema.get("additionalProperties") is False:
            missing += [f"{at}.{one}" for one in value if one not in properties]
        inner = [
            _misfits(one, properties[name], f"{at}.{name}")
            for name, one in value.items()
            if name in properties
        ]
        return missing + [one for found in inner for one in found]
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [one for item in value for one in _misfits(item, schema["items"], f"{at}[]")]
    return []


def _texts(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []
