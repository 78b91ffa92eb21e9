"""How Sphinx builds these pages: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import fastapi  # noqa: F401 - before autodoc does, which sets TYPE_CHECKING and so breaks it

import relmask

project = "relmask"
author = "the relmask developers"
version = release = relmask.__version__
copyright = author

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "commands",
    "docstrings",
    "mathml",
]
exclude_patterns = ["_ext"]
myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["toc.empty_glob"]  # pages that come and go with the measurements

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 90
napoleon_use_ivar = True
napoleon_numpy_docstring = False
default_role = "py:obj"
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "relmask"
html_static_path = ["_static"]
html_css_files = ["relmask.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars: dict[str, list[str]] = {
    page: [] for page in ("index", "tutorial", "fit", "method")
}  # nothing is below them
html_theme_options = {
    "logo": {"text": "relmask"},
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
