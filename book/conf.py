"""Sphinx' configuration of the book. ``meagan_lib.book.building`` assembles the pages and starts Sphinx."""

import inspect
from pathlib import Path

from sphinx import addnodes

from meagan_lib import ROOT
from meagan_lib.book import finishing

project = "MEAGAN"
author = "the MEAGAN project"
copyright = "the MEAGAN project, BSD 3-Clause"
language = "en"
exclude_patterns = ["included"]

extensions = [
    "myst_nb",  # Markdown and executed notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # the library, from its docstrings
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
html_show_search_summary = False  # it would fetch the pages; search.js has their text
html_search_scorer = str(ROOT / "book" / "scorer.js")
templates_path = ["templates"]
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
    """A page that begins with ``language: it`` tells browsers and screen readers so, and has Italian around it."""
    if (context.get("meta") or {}).get("language") != "it":
        return
    words = finishing.italian()["words"]
    context["language"] = "it"
    context["furo_navigation_tree"] = finishing.in_italian(context["furo_navigation_tree"], pagename)
    context["_"] = context["gettext"] = lambda text: words.get(text, text)
    for side in filter(None, (context.get("prev"), context.get("next"))):
        side["title"] = finishing.title(side["link"].removeprefix("../").removesuffix(".html")) or side["title"]


def finished(app, pagename, templatename, context, doctree) -> None:
    """What :mod:`meagan_lib.book.finishing` adds to a page."""
    context["furo_navigation_tree"] = finishing.with_levels(context.get("furo_navigation_tree", ""))
    if "body" in context:
        pictures = {name: Path(app.srcdir) / path for path, name in app.builder.images.items()}
        context["body"] = finishing.accessible(finishing.with_sizes(context["body"], pictures))
    if pagename == "search":
        for script in ("excerpts.js", "search.js"):
            app.add_js_file(script, loading_method="defer")


def exact(app, doctree) -> None:
    """Look for the types of signatures, which have their whole names, under these alone: half the time of the library.

    Sphinx would look through all names of all modules for one that ends so, and complain of two.
    """
    for reference in doctree.findall(addnodes.pending_xref):
        reference.attributes.pop("refspecific", None)


def excerpt(app, doctree) -> None:
    """What a search shows of a page, made where the page is read: Sphinx reads in several processes."""
    name = app.env.docname
    app.env.metadata[name]["excerpt"] = finishing.excerpt(doctree, name.startswith("figures/"))


def excerpts(app, exception) -> None:
    """What a search shows of each page, and its words in Italian."""
    if not exception:
        found = {name: its["excerpt"] for name, its in app.env.metadata.items() if "excerpt" in its}
        finishing.write_excerpts(found, Path(app.outdir) / "_static" / "excerpts.js")


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
    app.connect("doctree-read", exact)
    app.connect("doctree-read", excerpt)
    app.connect("html-page-context", page_language, priority=900)  # after the theme
    app.connect("html-page-context", finished, priority=910)
    app.connect("build-finished", excerpts)
