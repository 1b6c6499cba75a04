"""Public recordings by name: ``data/catalogue.yaml``, downloaded once and checked by their SHA-256."""

import os
from pathlib import Path

import pooch
import yaml

from meagan_lib import ROOT, InputError
from meagan_lib.workflow.files import atomic, sha256

DATA = ROOT / "data"
"""Where simulated and downloaded files are kept."""


def catalogue() -> dict[str, dict]:
    """Read the public recordings of ``data/catalogue.yaml``, by name."""
    return yaml.safe_load((DATA / "catalogue.yaml").read_text())


def fetch(name: str, data_dir: Path = DATA) -> list[Path]:
    """Download the files of a catalogue entry, once, and check their SHA-256.

    Nothing is downloaded that the folder in ``MEAGAN_DATA_MIRROR`` holds as ``<name>/<file>``.

    ``InputError``: neither network nor mirror, a file whose bytes are not those of the catalogue, or a full disk.
    """
    mirror = os.environ.get("MEAGAN_DATA_MIRROR")
    paths = []
    for file in catalogue()[name]["files"]:
        file_name = file.get("name") or file["url"].rsplit("/", 1)[1]
        if mirror and (source := Path(mirror) / name / file_name).is_file():
            if sha256(source) != file["sha256"]:
                raise InputError(f"{source} is not the file of the catalogue (its SHA-256 differs): copy it again")
            paths.append(source)
            continue
        path = data_dir / name / file_name
        paths.append(path)
        if path.is_file() and sha256(path) == file["sha256"]:
            continue
        try:
            with atomic(path) as temporary:  # pooch leaves a file that only its owner may read
                pooch.retrieve(
                    file["url"], known_hash=f"sha256:{file['sha256']}", fname=temporary.name, path=temporary.parent
                )
        except InputError:
            raise
        except ValueError as error:  # pooch: the hash differs
            raise InputError(
                f"{file_name} of '{name}' was changed at its source, its SHA-256 is not the catalogue's: take another "
                f"recording, or point MEAGAN_DATA_MIRROR to a folder with the earlier {name}/{file_name}"
            ) from error
        except OSError as error:  # no network, or a refusal; requests' errors are OSErrors
            raise InputError(
                f"'{name}' could not be downloaded ({type(error).__name__}): connect, or point MEAGAN_DATA_MIRROR to a "
                f"folder that holds {name}/{file_name}, or use the recording 'simulated'"
            ) from error
    return paths
