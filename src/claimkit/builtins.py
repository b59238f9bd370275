"""What claimkit itself registers, through the same hooks as any plugin."""

from __future__ import annotations
