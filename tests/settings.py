"""Settings of the test suite: a site that adopted every room."""

from tests.projects.everything import *  # noqa: F403
