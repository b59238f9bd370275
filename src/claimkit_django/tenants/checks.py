"""System checks of the tenants room."""

from __future__ import annotations

__all__ = ["register_checks"]


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
