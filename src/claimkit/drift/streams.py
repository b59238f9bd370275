"""Streams: what each night's scan compares, observed against expected, day by day."""

from __future__ import annotations

__all__ = ["SCAN_WINDOW"]

#: Longest window of decision days that is tested; the baseline ends before it.
SCAN_WINDOW = 56
