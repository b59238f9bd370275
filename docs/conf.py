"""Sphinx configuration: MyST pages, reference pages made from the source, nothing downloaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Plugins need not be installed to be described.
_PLUGINS = sorted(HERE.parent.glob("plugins/*/src"))
sys.path[:0] = [str(one) for one in (HERE / "_ext", HERE.parent, *_PLUGINS)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django  # noqa: E402

import claimkit  # noqa: E402

django.setup()

project = "claimkit"
author = "The claimkit developers"
project_copyright = "The claimkit developers"
release = version = claimkit.__version__

extensions = [
    "claimkit_reference",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "_ext", "reference/_generated"]
root_doc = "index"
myst_enable_extensions = ["attrs_block", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
add_module_names = False

nitpicky = True
# Names of the standard library and of other packages: the build asks no server for their pages.
# Names of ours that are only imported for the type checker appear bare in signatures, and private
# ones have no page.
nitpick_ignore_regex = [("py:.*", r"(?!claimkit).*|claimkit.*\._\w+")]

# Only ``tox run -e links`` asks the world; addresses of examples and of this machine lead nowhere.
linkcheck_ignore = [
    r"https?://([\w-]+\.)*example\.(com|net|org)",
    r"https?://(localhost|127\.0\.0\.1)",
    r"https://hooks\.slack\.com/services/",
]
linkcheck_timeout = 20
linkcheck_retries = 2

html_theme = "furo"
html_title = f"claimkit {release}"
html_copy_source = False
html_show_sphinx = False
