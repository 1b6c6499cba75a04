"""A run: notebooks executed, figures and files that appear atomically, progress."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "drawings": ["redrawn"],
        "execution": ["results_folder"],
        "figures": ["save_figure"],
        "files": ["write_json"],
        "notebook": ["show", "progress_bar", "live_curves"],
        "sections": ["optional", "provide"],
    },
)
