"""Any executor of Snakemake: profiles, and what its scheduler says, in words.

A profile is a folder with ``config.yaml``, options of Snakemake. The graph is the same as on one machine: what differs
is who starts a job.
"""

import re
from pathlib import Path

from meagan_lib import ROOT, InputError, did_you_mean

PROFILES = ROOT / "profiles"
OF_SNAKEMAKE = (Path("~/.config/snakemake"), Path("/etc/xdg/snakemake"))
"""Where Snakemake itself looks for profiles."""
BUILT_IN = ("local", "dryrun", "touch")
"""Executors that Snakemake has without a plugin."""


def config_of(folder: Path) -> Path | None:
    """Return the file of options of a profile, as Snakemake finds it; None where a folder is no profile."""
    files = [path for path in folder.glob("*.yaml") if re.fullmatch(r"(profile|config)(\.v\d+\+)?", path.stem)]
    return max(files, default=None)


def find_profile(name: str) -> Path:
    """Return the folder of a profile: one of the user's own, one of ``profiles/``, or one of Snakemake's.

    ``InputError``: there is none of that name, with the nearest one.
    """
    places = [Path(name).expanduser(), *(place.expanduser() / name for place in (PROFILES, *OF_SNAKEMAKE))]
    for folder in places:
        if config_of(folder):
            return folder.resolve()
    known = [path.parent.name for place in (PROFILES, *OF_SNAKEMAKE) for path in place.expanduser().glob("*/*.yaml")]
    raise InputError(
        f"no profile '{name}'{did_you_mean(name, known)}; choose one of {', '.join(sorted(set(known)))}, or give a "
        f"folder with a config.yaml"
    )
