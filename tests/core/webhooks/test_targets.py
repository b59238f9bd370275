from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.config import WebhooksConfig
from claimkit.errors import ConfigError, InvalidTarget
from claimkit.webhooks.targets import (
    SystemResolver,
    Target,
    TargetPolicy,
    check_address,
    check_headers,
    parse_target,
    resolve,
)

STRICT = TargetPolicy()


def refused(url, policy=STRICT):
    with pytest.raises(InvalidTarget) as caught:
        parse_target(url, policy)
    return caught.value.code


def test_a_plain_address():
    assert parse_target("https://Hooks.Example.org:8443/a/b?c=d", STRICT) == Target(
        scheme="https", host="hooks.example.org", port=8443, path="/a/b?c=d"
    )
    assert parse_target("https://hooks.example.org", STRICT).authority == "hooks.example.org"
    assert parse_target("https://[2606:4700::1111]/", STRICT).authority == "[2606:4700::1111]"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.org/", "target_scheme"),
        ("https://hooks.example.org:22/", "target_port"),
        ("https://hooks.example.org:25/", "target_port"),
        ("https://hooks.example.org:5432/", "target_port"),
        ("https://hooks.example.org:6379/", "target_port"),
        ("https://hooks.example.org:0443/", "target_invalid"),
        ("https://hooks.example.org:99999/", "target_port"),
        ("https://a:b@hooks.example.org/", "target_invalid"),
        ("https://hooks.example.org#@evil.example/", "target_invalid"),
        ("https://evil.example\\@hooks.example.org/", "target_invalid"),
        ("https://hooks.example.org/#top", "target_invalid"),
        ("https://hooks.example.org./", "target_invalid"),
        ("https://-hooks.example.org/", "target_invalid"),
        ("https://hooks..example.org/", "target_invalid"),
        ("https://①②⑦.0.0.1/", "target_invalid"),
        ("https://bücher.example/", "target_invalid"),
        ("https://hooks.example.org/\r\nHost: evil", "target_invalid"),
        ("https://hooks.example.org/a b", "target_invalid"),
        (" https://hooks.example.org/", "target_invalid"),
        ("https:///path", "target_invalid"),
        ("//hooks.example.org/", "target_invalid"),
        ("ftp://hooks.example.org/", "target_invalid"),
        ("file:///etc/passwd", "target_invalid"),
        ("https://hooks.example.org/" + "a" * 2_000, "target_invalid"),
        ("https://[fe80::1%25eth0]/", "target_invalid"),
        ("https://[::1", "target_invalid"),
        ("", "target_invalid"),
    ],
)
def test_what_is_no_plain_address(url, code):
    """A22, A24, A29, A30."""
    assert refused(url) == code


@pytest.mark.parametrize(
    "host",
    [
        *("0177.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "127.1", "127.0.0.1", "127.0.0.01"),
        *("169.254.169.254", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "[::1]"),
        *("[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]"),
        *("0.0.0.0", "172.16.9.9", "192.168.1.1", "198.18.0.1", "224.0.0.1"),
        *("255.255.255.255", "192.0.0.8", "192.88.99.1", "[ff02::1]", "[fe80::1]", "[fc00::1]"),
        *("[2001::1]", "[2001:db8::1]", "[64:ff9b:1::1]", "[100::1]", "[3fff::1]", "[5f00::1]"),
    ],
)
def test_addresses_inside_are_blocked_in_every_spelling(host):
    """A23, A24."""
    assert refused(f"https://{host}/") == "blocked_address"


def test_the_largest_private_network_is_blocked():
    for number in (10 << 24, (10 << 24) + 5, (11 << 24) - 1):
        assert refused(f"https://{ipaddress.IPv4Address(number)}/") == "blocked_address"


@pytest.mark.parametrize("answer", ["127.0.0.1%lo", "marsupilami", "", "fe80::1%eth0"])
def test_an_answer_that_is_no_address_is_blocked(answer):
    with pytest.raises(InvalidTarget):
        check_address(answer, STRICT)


@given(st.ip_addresses())
def test_what_is_let_through_is_global(address):
    """The table is stricter than the standard library, never laxer (which calls more global)."""
    with contextlib.suppress(InvalidTarget):
        check_address(str(address), STRICT)
        assert address.is_global
        assert not address.is_multicast


def test_networks_may_be_allowed_and_others_stay_blocked():
    policy = TargetPolicy.of(WebhooksConfig(allowed_networks=("192.168.7.0/24",)))

    check_address("192.168.7.1", policy)
    check_address("::ffff:192.168.7.1", policy)
    with pytest.raises(InvalidTarget):
        check_address("192.168.8.1", policy)


def test_our_own_name_is_refused():
    """A49."""
    policy = TargetPolicy.of(WebhooksConfig(), refused_hosts=["Claims.Example.org"])

    assert refused("https://claims.example.org/hook", policy) == "blocked_address"


@pytest.mark.parametrize(
    "settings", [{"ports": ("https",)}, {"allowed_networks": ("192.168.0.1/16",)}]
)
def test_settings_that_cannot_be_used(settings):
    with pytest.raises(ConfigError):
        TargetPolicy.of(WebhooksConfig(**settings))


def test_http_is_for_development():
    policy = TargetPolicy(allow_http=True)

    assert parse_target("http://hooks.example.org:8000/", policy).port == 8000
    assert parse_target("http://hooks.example.org/", policy).authority == "hooks.example.org"


_PIECES = st.sampled_from(
    [
        *"abz09.:/@\\#?%[] -_\t\r\n",
        "https",
        "http",
        "://",
        "//",
        "127.0.0.1",
        "evil.example",
        "é",
        "①",
    ]
)


@settings(max_examples=400)
@given(st.lists(_PIECES, max_size=9).map("".join), st.booleans())
def test_parsers_agree_about_the_host_of_whatever_is_let_through(text, prefixed):
    """A29."""
    url = f"https://{text}" if prefixed else text

    with contextlib.suppress(InvalidTarget):
        target = parse_target(url, STRICT)
        assert urlsplit(url).hostname == target.host
        assert urlsplit(url).username is None
        assert urlsplit(url).port in {None, target.port}


def test_the_resolver_of_the_system_knows_this_machine():
    found = SystemResolver()("localhost", 443, timeout_seconds=5)

    assert all(ipaddress.ip_address(one).is_loopback for one in found)
    with pytest.raises(InvalidTarget):
        resolve(
            parse_target("https://localhost/", STRICT), STRICT, SystemResolver(), timeout_seconds=5
        )


def test_a_name_without_addresses():
    with pytest.raises(OSError, match="no address"):
        resolve(
            parse_target("https://hooks.example.org/", STRICT),
            STRICT,
            lambda host, port, *, timeout_seconds: [],
            timeout_seconds=5,
        )


def test_headers_of_an_endpoint():
    check_headers({"Authorization": "Bearer marsupilami", "X-Env": "a b"})


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {"webhook-signature": "v1,x"},
            {"Webhook-Id": "x"},
            {"Host": "evil"},
            {"X-Signature": "0"},
        ),
        *({"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}, {"Proxy-Authorization": "x"}),
        *(
            {"X-A": "b\r\nX-C: d"},
            {"X A": "b"},
            {"X-A": ""},
            {"X-A": "é"},
            {"": "b"},
            {"X-A\n": "b"},
        ),
        *({"X-A": "b", "x-a": "c"}, {f"X-{number}": "b" for number in range(21)}),
    ],
)
def test_headers_that_an_endpoint_cannot_set(headers):
    """A44."""
    with pytest.raises(InvalidTarget) as caught:
        check_headers(headers)
    assert caught.value.code == "header_refused"
