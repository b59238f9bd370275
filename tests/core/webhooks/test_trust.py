"""Certificates of an endpoint's own: pinned authorities, and mutual TLS."""

from __future__ import annotations

import ipaddress
import re
import ssl

import pytest

from claimkit.errors import InvalidTarget
from claimkit.testing.receivers import answer, answering
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits, Reason, SendFailed
from claimkit.webhooks.trust import Certificates, make_tls

LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
def send():
    transport = HttpTransport(
        LOCAL,
        limits=Limits(total_seconds=3, connect_seconds=2),
        resolver=lambda host, port, *, timeout_seconds: ["127.0.0.1"],
    )

    def post(receiver, certificates=None):
        url = f"https://hooks.example.org:{receiver.port}/"
        try:
            return transport.post(url, {}, b"{}", certificates=certificates).status
        except SendFailed as error:
            return error.reason

    yield post
    transport.close()


def test_an_authority_of_its_own_alone_vouches_for_the_receiver(receive, authority, send):
    receiver = receive(answering(answer(204)), tls=authority.issue("hooks.example.org"))
    known = Certificates(authority=authority.trusted.read_text())

    # A connection that was made with one idea of trust serves no other.
    assert [send(receiver, one) for one in (None, known, None)] == [
        Reason.TLS_ERROR,
        204,
        Reason.TLS_ERROR,
    ]


def test_the_certificate_itself_may_be_pinned_and_no_other_of_the_name_passes(
    receive, authority, send
):
    pinned = authority.issue_pem("hooks.example.org").decode()
    another = receive(answering(answer(204)), tls=authority.issue("hooks.example.org"))

    assert send(another, Certificates(authority=pinned)) is Reason.TLS_ERROR


def test_a_receiver_that_asks_who_we_are_is_shown_our_certificate(receive, authority, send):
    tls = authority.issue("hooks.example.org")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.trusted)
    receiver = receive(answering(answer(204)), tls=tls)
    known = {"authority": authority.trusted.read_text()}
    ours = authority.issue_pem("claims.example.org").decode()
    foreign = authority.issue_pem("claims.example.org", trusted_by=None).decode()

    assert send(receiver, Certificates(**known, client=ours)) == 204
    assert send(receiver, Certificates(**known)) != 204
    assert send(receiver, Certificates(**known, client=foreign)) != 204
    assert "PRIVATE KEY" not in repr(Certificates(client=ours))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("part", ["authority", "client"])
@pytest.mark.parametrize(
    "text",
    [
        "marsupilami",
        "é",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "x" * 70_000,
    ],
)
def test_what_is_no_certificate_is_refused(authority, part, text):
    with pytest.raises(InvalidTarget) as caught:
        make_tls(Certificates(**{part: text}))
    assert caught.value.code == "certificate_invalid"


def test_a_certificate_of_ours_needs_its_key(authority):
    ours = authority.issue_pem("claims.example.org").decode()
    other = authority.issue_pem("claims.example.org").decode()
    key = re.compile(r"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----", re.DOTALL)

    for wrong in (key.sub("", ours), key.sub(key.search(other)[0], ours)):
        with pytest.raises(InvalidTarget):
            make_tls(Certificates(client=wrong))
