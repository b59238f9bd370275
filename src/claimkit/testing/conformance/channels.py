"""What every channel of alerts must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import copy
import datetime as dt
import json
import logging
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pytest

from claimkit.errors import ConfigError
from claimkit.testing.conformance.suite import SENSELESS
from claimkit.testing.factories import make_notification, make_notification_item
from claimkit.testing.receivers import (
    Receiver,
    answer,
    answering,
    chattering,
    dripping,
    hanging,
    hanging_up,
    resetting,
)
from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from claimkit.alerts.channels import Channel, Notification, SendResult
    from claimkit.testing.receivers import Script
    from claimkit.types import Json

__all__ = ["ChannelConformance", "ChannelUse", "HttpChannelConformance"]

#: What a worker writes down of a failure has no room for more.
_REASON = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NASTY = '<!channel> & "Bobby" *bold* `x` | \\ \r\n\N{ZERO WIDTH SPACE}\N{PILE OF POO}'


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUse:
    """A channel, and settings by which it reaches the receiver of the test."""

    channel: Channel
    settings: Mapping[str, Json] = field(default_factory=dict, repr=False)

    def send(self, notification: Notification | None = None) -> SendResult:
        """Send as a worker does."""
        plain = self.channel.check(self.settings)
        return self.channel.send(notification or make_notification(), plain)

    def secrets(self) -> Sequence[str]:
        """Return the values that nobody may ever see."""
        return [str(self.settings[one]) for one in self.channel.secrets if one in self.settings]


def _one_of_everything() -> Iterator[Notification]:
    for reason in ("first", "escalated", "repeated", "step", "resolved"):
        for severity in Severity:
            yield make_notification([make_notification_item(reason=reason, severity=severity)])
    bare = make_notification_item(payer="", summary="", onset=None, link="", dollars_per_month=0)
    yield make_notification([bare])
    nasty = make_notification_item(payer=_NASTY, summary=_NASTY, kind=_NASTY)
    yield make_notification([nasty], tenant_name=_NASTY)
    yield make_notification(
        [make_notification_item(summary="&" * 9_000, payer="\N{SNOWMAN}" * 999)]
    )
    many = [make_notification_item(alert=f"alr_{n}", summary="long " * 90) for n in range(60)]
    yield make_notification(many)


class ChannelConformance:
    """What a :class:`~claimkit.alerts.channels.Channel` must do, however it tells people.

    Override ``use``, and ``arrived`` where the receiver can be asked.
    """

    @pytest.fixture
    def use(self) -> ChannelUse:
        """Override: the channel, and settings by which it works."""
        raise NotImplementedError("a conformance suite needs a fixture called 'use'")

    @pytest.fixture
    def arrived(self) -> Callable[[], Sequence[object]]:
        """Override: return what lists the keys by which the receiver knows what came, in order."""
        pytest.skip("the suite was not told what arrives (fixture 'arrived')")

    def test_its_name_is_a_word_and_its_secrets_are_names(self, use: ChannelUse) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", use.channel.name)
        assert isinstance(use.channel.secrets, frozenset)

    def test_settings_in_their_plain_form_are_json_and_stay_as_they_are(
        self, use: ChannelUse
    ) -> None:
        before = copy.deepcopy(dict(use.settings))

        plain = use.channel.check(use.settings)

        assert dict(use.settings) == before
        assert json.loads(json.dumps(dict(plain))) == dict(plain)
        assert dict(use.channel.check(plain)) == dict(plain)

    def test_an_unknown_setting_is_refused_and_named(self, use: ChannelUse) -> None:
        with pytest.raises(ConfigError) as caught:
            use.channel.check({**use.settings, "zorglub": "houba"})

        assert "zorglub" in str(caught.value)
        assert "houba" not in str(caught.value)

    def test_senseless_settings_are_refused_and_never_break_it(self, use: ChannelUse) -> None:
        for name in use.settings:
            accepted = []
            for value in SENSELESS:
                try:
                    accepted.append(use.channel.check({**use.settings, name: value}))
                except ConfigError:
                    continue
            # A setting may be a number or a list; none takes everything.
            assert len(accepted) < len(SENSELESS) - 3, name

    def test_no_refusal_repeats_a_secret(self, use: ChannelUse) -> None:
        for name in use.channel.secrets & use.settings.keys():
            secret = str(use.settings[name])
            for value in (f"{secret}\n", f" {secret}\x00", [secret], {secret: secret}, secret * 99):
                told = _refusal(use.channel, {**use.settings, name: value})
                assert _without(use.secrets(), told)
            with pytest.raises(ConfigError) as caught:
                use.channel.check({**use.settings, "zorglub": secret})
            assert _without(use.secrets(), _everything_of(caught.value))

    def test_what_is_sent_is_told_as_sent(self, use: ChannelUse) -> None:
        result = use.send()

        assert (result.is_sent, result.reason) == (True, "")
        assert (result.is_permanent, result.retry_after) == (False, None)

    def test_every_notification_can_be_sent(self, use: ChannelUse) -> None:
        results = [use.send(one) for one in _one_of_everything()]

        assert [one.reason for one in results if not one.is_sent] == []

    def test_several_threads_send_at_the_same_time(self, use: ChannelUse) -> None:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: use.send(), range(8)))

        assert [one.reason for one in results if not one.is_sent] == []

    def test_the_same_notification_is_known_again_and_another_is_not(
        self, use: ChannelUse, arrived: Callable[[], Sequence[object]]
    ) -> None:
        other = make_notification_item(alert="alr_spirou", summary="Aetna decides 9 days later")

        use.send()
        first = list(arrived())
        use.send()
        again = list(arrived())[len(first) :]
        use.send(make_notification([other], id="ntf_spirou"))
        another = list(arrived())[len(first) + len(again) :]

        assert first
        assert again == first
        assert another
        assert not any(one in first for one in another)

    def test_nothing_that_is_shown_or_logged_has_a_secret(
        self, use: ChannelUse, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            result = use.send()

        assert _without(use.secrets(), repr(result), repr(use.channel), _logged(caplog))


class HttpChannelConformance(ChannelConformance):
    """What a channel that tells by HTTP must do, whatever the receiver does.

    Override ``use``; its settings lead to the fixture ``receiver``, and the channel gives up after
    less than ``most_seconds``.
    """

    #: Seconds that one send may take in these tests; a production channel has some more.
    most_seconds: ClassVar[float] = 3.0
    #: Whether it learns why something failed. False where a library only says that it did.
    knows_why: ClassVar[bool] = True

    @pytest.fixture
    def receiver(self) -> Iterator[Receiver]:
        """Return a receiver that takes everything; a test gives it another script."""
        with Receiver(answering(answer(200))) as made:
            yield made

    @pytest.fixture
    def arrived(self, receiver: Receiver) -> Callable[[], Sequence[object]]:
        """Return what lists the bodies; override it where they are never the same."""
        return lambda: [body for _, body in receiver.requests]

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_a_status_of_success_is_sent(
        self, use: ChannelUse, receiver: Receiver, status: int
    ) -> None:
        receiver.script = answering(answer(status))

        assert use.send().is_sent

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
    def test_what_is_refused_will_never_work(
        self, use: ChannelUse, receiver: Receiver, status: int
    ) -> None:
        receiver.script = answering(answer(status, b"marsupilami"))

        result = self._failed(use)

        assert result.is_permanent == self.knows_why
        assert result.retry_after is None

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_is_not_taken_now_may_be_taken_later(
        self, use: ChannelUse, receiver: Receiver, status: int
    ) -> None:
        receiver.script = answering(answer(status, b"marsupilami"))

        result = self._failed(use)

        assert (result.is_permanent, result.retry_after) == (False, None)

    def test_it_says_how_long_the_receiver_asks_to_wait(
        self, use: ChannelUse, receiver: Receiver
    ) -> None:
        if not self.knows_why:
            pytest.skip("the channel does not learn what the receiver says")
        receiver.script = answering(
            answer(429, Retry_After="120"), answer(503, Retry_After="Tuesday, or never")
        )

        first, second = self._failed(use), self._failed(use)

        assert first.retry_after == dt.timedelta(seconds=120)
        assert second.retry_after is None
        assert (first.is_permanent, second.is_permanent) == (False, False)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_no_redirect_is_followed(
        self, use: ChannelUse, receiver: Receiver, status: int
    ) -> None:
        with Receiver(answering(answer(200))) as elsewhere:
            receiver.script = answering(answer(status, Location=elsewhere.url()))

            self._failed(use)

            assert elsewhere.connections == 0

    @pytest.mark.parametrize(
        "script",
        [
            hanging,
            dripping,
            hanging_up,
            resetting,
            chattering(b"\x16\x03\x01\x00\xff" * 99),
            chattering(b"HTTP/1.1 marsupilami\r\n\r\n"),
            chattering(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nhalf"),
            chattering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 9_999),
        ],
        ids=[
            *("says nothing", "drips", "hangs up", "resets"),
            *("no HTTP", "no status", "half an answer", "endless headers"),
        ],
    )
    def test_a_receiver_without_an_answer_is_tried_again(
        self, use: ChannelUse, receiver: Receiver, script: Script
    ) -> None:
        receiver.script = script

        result = self._failed(use)

        assert (result.is_permanent, result.retry_after) == (False, None)

    def test_nobody_listening_is_tried_again(self, use: ChannelUse, receiver: Receiver) -> None:
        receiver.close()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", receiver.port))

        assert not self._failed(use).is_permanent

    @pytest.mark.parametrize(("status", "is_sent"), [(200, True), (500, False)])
    def test_a_huge_answer_is_read_no_further_than_it_says_something(
        self, use: ChannelUse, receiver: Receiver, status: int, *, is_sent: bool
    ) -> None:
        receiver.script = answering(answer(status, b"x" * (4 << 20)))

        assert self._timed(use).is_sent == is_sent

    def test_no_failure_has_a_secret(
        self, use: ChannelUse, receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        echo = " ".join(use.secrets())
        receiver.script = answering(answer(403, f"no such thing: {echo}".encode()))

        with caplog.at_level(logging.DEBUG):
            result = self._failed(use)

        assert _without(use.secrets(), repr(result), repr(use.channel), _logged(caplog))

    def _failed(self, use: ChannelUse) -> SendResult:
        result = self._timed(use)

        assert not result.is_sent
        assert _REASON.fullmatch(result.reason)
        return result

    def _timed(self, use: ChannelUse) -> SendResult:
        began = time.monotonic()
        result = use.send()

        assert time.monotonic() - began < self.most_seconds
        return result


def _without(secrets: Sequence[str], *texts: str) -> bool:
    """Whether none of the texts has any of the secrets, or the telling part of an address."""
    parts = {part for one in secrets for part in (one, *one.rsplit("/", 1)[1:]) if part}
    return not any(part in text for part in parts for text in texts)


def _refusal(channel: Channel, settings: Mapping[str, Json]) -> str:
    """Return what a refusal of these settings tells; nothing where they are taken."""
    try:
        channel.check(settings)
    except ConfigError as error:
        return _everything_of(error)
    return ""


def _everything_of(error: BaseException | None) -> str:
    """Return what a log with tracebacks could show of an error, its causes included."""
    told = []
    while error is not None:
        told.append(f"{error!r} {error} {error.args!r} {getattr(error, 'remedy', '')}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(told)


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{one.getMessage()} {one.__dict__!r}" for one in caplog.records)
