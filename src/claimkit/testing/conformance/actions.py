"""What every action of automation must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import copy
import datetime as dt
import json
import re
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from claimkit.automation.actions import ActionCall, ActionResult, WorkKind
from claimkit.automation.facts import TRIGGERS, FactType, fields_of
from claimkit.errors import ConfigError
from claimkit.testing.conformance.suite import SENSELESS
from claimkit.types import TenantKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit.automation.actions import RuleAction
    from claimkit.automation.facts import Fact
    from claimkit.types import Json

__all__ = ["ActionConformance"]

_AT = dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC)
#: Seconds: rules run in the transaction of the event that they are about.
_MOST_SECONDS = 0.25


class ActionConformance:
    """Subclass it and give it the fixtures ``action`` and ``settings``."""

    @pytest.fixture
    def action(self) -> RuleAction:
        """Override: the action under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'action'")

    @pytest.fixture
    def settings(self) -> Mapping[str, Json]:
        """Override: settings by which it works; every setting that it has."""
        raise NotImplementedError("a conformance suite needs a fixture called 'settings'")

    def test_its_name_is_a_word_and_it_says_what_follows(self, action: RuleAction) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", action.name)
        assert isinstance(action.emits, frozenset)
        assert all(re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", topic) for topic in action.emits)

    def test_settings_in_their_plain_form_are_json_and_stay_as_they_are(
        self, action: RuleAction, settings: Mapping[str, Json]
    ) -> None:
        before = copy.deepcopy(dict(settings))

        plain = action.check(settings)

        assert dict(settings) == before
        assert json.loads(json.dumps(dict(plain))) == dict(plain)
        assert dict(action.check(plain)) == dict(plain)

    def test_an_unknown_setting_is_refused_and_named(
        self, action: RuleAction, settings: Mapping[str, Json]
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            action.check({**settings, "zorglub": "houba"})

        assert "zorglub" in str(caught.value)

    def test_senseless_settings_are_refused_and_never_break_it(
        self, action: RuleAction, settings: Mapping[str, Json]
    ) -> None:
        for name in settings:
            accepted = []
            for value in SENSELESS:
                try:
                    accepted.append(action.check({**settings, name: value}))
                except ConfigError:
                    continue
            # A setting may be a number or a list; none takes everything.
            assert len(accepted) < len(SENSELESS) - 3, name

    @pytest.mark.parametrize("topic", sorted(TRIGGERS))
    def test_it_says_what_it_wants_whatever_is_known(
        self, action: RuleAction, settings: Mapping[str, Json], topic: str
    ) -> None:
        plain = action.check(settings)

        for call in (_call(topic, plain), replace(_call(topic, plain), facts=_nothing(topic))):
            result = action.run(call)

            assert isinstance(result, ActionResult)
            for event in result.events:
                assert (event.tenant, event.at) == (call.tenant, call.at)
                # What a rule can begin with must be named, or a rule might trigger itself.
                assert event.topic in action.emits or event.topic not in TRIGGERS
            for work in result.work:
                assert work.kind in WorkKind
                assert 1 <= len(work.text.strip()) <= 200
                assert work.due_days is None or 0 <= work.due_days <= 365

    def test_it_wants_something(self, action: RuleAction, settings: Mapping[str, Json]) -> None:
        plain = action.check(settings)
        results = [action.run(_call(topic, plain)) for topic in TRIGGERS]

        assert any(one.events or one.work for one in results)

    def test_the_same_call_wants_the_same_and_stays_as_it_is(
        self, action: RuleAction, settings: Mapping[str, Json]
    ) -> None:
        call = _call("drift.detected", action.check(settings))
        before = copy.deepcopy(call)

        assert action.run(call) == action.run(copy.deepcopy(call))
        assert call == before

    def test_it_is_quick_and_talks_to_nobody(
        self,
        action: RuleAction,
        settings: Mapping[str, Json],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def connect(*_args: object, **_kwargs: object) -> None:
            pytest.fail("the action opened a connection; make it a listener of its event")

        call = _call("drift.detected", action.check(settings))
        monkeypatch.setattr(socket, "socket", connect)
        began = time.perf_counter()
        action.run(call)

        assert time.perf_counter() - began < _MOST_SECONDS


def _call(topic: str, settings: Mapping[str, Json]) -> ActionCall:
    facts: dict[str, Fact] = {
        name: "MERIDIAN OF OHIO" if kind is FactType.TEXT else 18_250.0
        for name, kind in fields_of(topic).items()
    }
    if "severity" in facts:
        facts["severity"] = "high"
    return ActionCall(
        tenant=TenantKey("northside"),
        at=_AT,
        rule="aur_fantasio",
        rule_name="Tell the denials team",
        topic=topic,
        subject="fnd_marsupilami",
        facts=facts,
        settings=settings,
    )


def _nothing(topic: str) -> dict[str, Fact]:
    return dict.fromkeys(fields_of(topic))
