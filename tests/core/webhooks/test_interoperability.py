"""Signatures both ways against the libraries that receivers use."""

from __future__ import annotations

import datetime as dt
import json
from random import Random

import pytest

from claimkit.webhooks.signing import SecretKey, sign, verify

_SEED = 20_260_412


def _text(random):
    kinds = (range(32, 127), range(0x80, 0x800), range(0x4E00, 0x9FFF), range(0x1F300, 0x1F6FF))
    return "".join(chr(random.choice(random.choice(kinds))) for _ in range(random.randrange(12)))


def _json(random, depth=0):
    kind = random.randrange(7 if depth < 3 else 5)
    if kind == 0:
        return random.choice((None, True, False))
    if kind == 1:
        return random.randrange(-(2**70), 2**70)
    if kind == 2:
        return random.uniform(-1e9, 1e9)
    if kind < 5:
        return _text(random)
    inner = [_json(random, depth + 1) for _ in range(random.randrange(4))]
    return inner if kind == 5 else {_text(random): one for one in inner}


@pytest.mark.parametrize("name", ["standardwebhooks", "svix"])
def test_theirs_accept_ours_and_ours_theirs(name):
    webhook = pytest.importorskip(f"{name}.webhooks", reason=f"{name} is not installed").Webhook
    random = Random(_SEED)
    now = dt.datetime.now(dt.UTC)
    other = SecretKey(bytes(32))

    for number in range(3_000):
        options = {"ensure_ascii": random.random() < 0.5, "indent": random.choice((None, 1))}
        body = json.dumps(_json(random), **options)
        key = SecretKey(random.randbytes(random.randint(24, 64)))
        theirs = webhook(key.text)
        message_id = f"msg_{number}"

        told = sign(message_id, now, body.encode(), [other, key])
        theirs.verify(body.encode(), told)
        told["webhook-signature"] = theirs.sign(message_id, now, body)
        assert verify(told, body.encode(), [key], now=now).key == key.fingerprint


def test_the_official_library_refuses_what_we_refuse():
    webhooks = pytest.importorskip("standardwebhooks.webhooks", reason="it is not installed")
    key = SecretKey(bytes(range(32)))
    now = dt.datetime.now(dt.UTC)
    told = sign("msg_marsupilami", now, b"{}", [key])

    with pytest.raises(webhooks.WebhookVerificationError):
        webhooks.Webhook(key.text).verify(b"{ }", told)
