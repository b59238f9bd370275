"""The example with all that is counted: tenants by a hash, on PostgreSQL."""

from __future__ import annotations

from example.settings import *  # noqa: F403
from example.settings import CLAIMKIT as _CLAIMKIT
from example.settings import DEMO_DIR

CLAIMKIT = {
    **_CLAIMKIT,
    "WEBHOOKS": {
        "ALLOW_HTTP": True,
        "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "CONFIRM_ENDPOINTS": False,
        "THREADS": 1,
    },
    # More workers than there are, so that the detailed health answers 503.
    "OPS": {
        **_CLAIMKIT["OPS"],
        "TENANT_LABEL": "hash",
        "WORKERS": 99,
        "KEEP_SECONDS": 0.0,
        "BACKUP_STATUS": str(DEMO_DIR / "backup.json"),
    },
}
