"""``python -m claimkit`` is the command ``claimkit``."""

from __future__ import annotations

import sys

from claimkit.cli import main

sys.exit(main())
