"""Only what the site's own proxies wrote says where a request comes from."""

from __future__ import annotations

import pytest

from claimkit_django.http.networks import client_network


def network(rf, *, proxies, header="X-Forwarded-For", told="", connected="192.0.2.1"):
    request = rf.get("/", REMOTE_ADDR=connected, headers={header: told} if told else {})
    return client_network(request, trusted_proxies=proxies, header=header)


@pytest.mark.parametrize(
    ("proxies", "told", "found"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 192.0.2.2", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "not-an-address", "192.0.2.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8:1:2::7]:443", "2001:db8:1:2::/64"),
        (1, "2001:db8:1:2:ffff::8", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_nth_from_the_right_is_the_client(rf, proxies, told, found):
    assert network(rf, proxies=proxies, told=told) == found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("for=203.0.113.9;proto=https", "203.0.113.9"),
        ('for=6.6.6.6, proto=https;For="[2001:db8:1:2::7]:4711"', "2001:db8:1:2::/64"),
        ("for=unknown", "192.0.2.1"),
        ("proto=https", "192.0.2.1"),
    ],
)
def test_the_standard_header_is_read_too(rf, told, found):
    assert network(rf, proxies=1, header="Forwarded", told=told) == found


def test_a_socket_without_an_address_is_one_network(rf):
    assert network(rf, proxies=0, connected="") == ""
