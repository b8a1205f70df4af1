"""The site: `make docs` builds it, and a warning is an error."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "lstm_jax"
author = "The lstm_jax authors"
project_copyright = author
html_title = "lstm_jax"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "docstrings",
    "gallery",
    "mathml",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "sphinx_book_theme"
html_static_path = ["_static", "../examples/melody/sound"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "use_download_button": False,
    "use_fullscreen_button": False,
}

# Docstrings name the shapes; the annotations would say the same twice.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 300
nb_merge_streams = True
