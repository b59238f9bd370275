"""Report documents: sections, tables and figures as data, without markup."""

from __future__ import annotations


class Report:
    """A report."""
