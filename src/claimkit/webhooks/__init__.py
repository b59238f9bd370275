"""Webhooks: tell other systems what happened, so that they can trust it; and trust theirs.

``signing`` makes and verifies signatures, ``payloads`` says what is told, ``targets`` where it
may go, ``transport`` sends it, ``health`` remembers how endpoints fare, and ``deliver`` is the
story. Receivers need :func:`verify` and :func:`parse_key` only.
"""

from __future__ import annotations

from claimkit.webhooks.signing import Verified, generate_key, parse_key, sign, verify

__all__ = ["Verified", "generate_key", "parse_key", "sign", "verify"]
