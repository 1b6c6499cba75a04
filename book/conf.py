"""Sphinx' configuration of the book. ``meagan_lib.book.building`` assembles the pages and starts Sphinx."""

import inspect

from meagan_lib import ROOT

project = "MEAGAN"
author = "the MEAGAN project"
copyright = "the MEAGAN project, BSD 3-Clause"
language = "en"
exclude_patterns = ["included"]

extensions = [
    "myst_nb",  # Markdown and executed notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",  # the library, from its docstrings
    "sphinx.ext.mathjax",
]

nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # figures of a notebook are Markdown that the builder wrote in their output's stead
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "attrs_block", "colon_fence", "deflist"]
myst_dmath_double_inline = True
myst_heading_anchors = 3

numfig = True
numfig_secnum_depth = 0
numfig_format = {"figure": "Figure %s"}

autodoc_default_options = {"members": True, "member-order": "bysource", "no-value": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "MEAGAN"
html_baseurl = ""
html_show_sphinx = False
html_copy_source = False
html_static_path = ["static", "vendor/mathjax"]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_favicon = "static/icon.svg"
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
mathjax_path = "tex-svg-full.js"
mathjax3_config = {
    "options": {"enableMenu": False},  # the menu would fetch what the book does not hold
    "svg": {"displayAlign": "left", "displayIndent": "1em"},  # a narrow screen shows the beginning
}
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"


def page_language(app, pagename, templatename, context, doctree) -> None:
    """A page that begins with ``language: it`` tells browsers and screen readers so."""
    if meta := context.get("meta"):
        context["language"] = meta.get("language", context["language"])


def plain_bars(app, what, name, object, options, lines) -> None:
    """Docstrings write |x| as mathematics does; reStructuredText would take it for a substitution."""
    lines[:] = [line.replace("|", r"\|") for line in lines]


def foreign(app, what, name, object, skip, options) -> bool | None:
    """Leave out functions of other packages: what wraps them may hide where they come from."""
    code = getattr(inspect.unwrap(object), "__code__", None) if callable(object) else None
    return True if code and not code.co_filename.startswith(str(ROOT)) else None


def setup(app) -> None:
    app.connect("autodoc-skip-member", foreign)
    app.connect("autodoc-process-docstring", plain_bars)
    app.connect("html-page-context", page_language)
