"""A site that adopted tenants, claims and drift, with Celery and without the REST API.

Messages stay in the process unless ``CLAIMKIT_TEST_BROKER`` names a folder: then they are files,
which a worker in another process reads; no server is needed either way.
"""

from __future__ import annotations

import os

from tests.projects.bare import *  # noqa: F403
from tests.projects.worker import app as celery_app  # noqa: F401 - makes it the current one

_FOLDER = os.environ.get("CLAIMKIT_TEST_BROKER", "")
CELERY_BROKER_URL = "filesystem://localhost" if _FOLDER else "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"data_folder_in": _FOLDER, "data_folder_out": _FOLDER, "control_folder": _FOLDER}
    if _FOLDER
    else {}
)
