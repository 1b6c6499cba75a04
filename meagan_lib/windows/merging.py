"""Several recordings in one run: notebook 01 for each of them, then one ``windows.h5`` for the notebooks that follow.

The graph and the command import this module each time: what reads recordings is imported where it is used.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from meagan_lib import InputError
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS, executed, job, part
from meagan_lib.workflow.files import read_parameters, sha256, write_json

if TYPE_CHECKING:
    from spikeinterface.core import BaseRecording

FIRST = "01_preprocessing"
DECLARED = {"split_by": "recording"}
"""Parameters of the merge, with their defaults: whole recordings go to training, validation or test; ``"time"`` splits
each recording in time instead."""


def labels(recordings: Iterable[str]) -> list[str]:
    """Name each recording shortly, unlike the others: by the stem of its file or its name in the catalogue.

    >>> labels(["day1/chip.brw", "day2/chip.brw", "locust"])
    ['chip', 'chip-2', 'locust']
    """
    given: list[str] = []
    for recording in recordings:
        stem = re.sub(r"[^\w.-]+", "_", Path(str(recording)).stem).lstrip(".") or "recording"
        label, n = stem, 1
        while label in given:
            label, n = f"{stem}-{n + 1}", n + 1
        given.append(label)
    return given


def parts(first: Mapping[str, object]) -> dict[str, dict]:
    """Return the parameters of notebook 01 for each of several recordings, by label; none for a single one.

    ``first`` are parameters of notebook 01 whose ``recording`` may be a list, and may hold those of the merge. How many
    windows there must be is asked of the merged ones: each recording must only give some.
    """
    if not isinstance(first["recording"], list):
        return {}
    shared = {name: value for name, value in first.items() if name not in DECLARED}
    return {
        label: shared | {"recording": recording, "name": part(str(first["name"]), label), "min_train_windows": 0}
        for label, recording in zip(labels(first["recording"]), first["recording"])
    }


def refuse_early(parts: Mapping[str, Mapping], split_by: str) -> None:
    """Raise before anything has run when recordings, of which only the headers are read, cannot make one data set.

    That is when one cannot be opened, is given twice, or has another sampling rate or unit than the others, or when
    there are too few for ``split_by``.
    """
    from meagan_lib.recordings.opening import amplitude_unit
    from meagan_lib.windows.splits import require_same, require_splittable

    require_splittable(len(parts), split_by)
    opened, owner = {}, {}
    for label, parameters in parts.items():
        recording = parameters["recording"]
        try:
            source = open_early(parameters)
        except InputError as error:
            raise InputError(f"recording {label}: {error}") from error
        file = source.get_annotation("files")[0] if source else recording  # the others describe it, perhaps others too
        if owner.setdefault(file, label) != label:
            raise InputError(f"recording '{recording}' is given twice: leave one of them out")
        if source:
            opened[label] = source
    if opened:
        require_same({label: s.get_sampling_frequency() for label, s in opened.items()}, "sampling rate in Hz")
        require_same({label: amplitude_unit(s) for label, s in opened.items()}, "amplitude unit")


def open_early(first: Mapping[str, object]) -> "BaseRecording | None":
    """Open what notebook 01 would read, of which only the header is read, or look whether windows are readable.

    ``InputError``: A recording or windows that cannot be opened, or that lack the neighbours or the channel asked for.
    The simulated recording is not made, and None like windows. What must be known of a compressed file is printed.
    """
    from meagan_lib.recordings.catalogue import SIMULATED

    recording = first["recording"]
    neighbours, channel = int(first.get("neighbours", 0)), int(first.get("channel", -1))
    if recording in SIMULATED and (neighbours, channel) == (0, -1):  # nothing to look at: spare the imports
        return None

    from meagan_lib.recordings import bxr
    from meagan_lib.recordings.opening import holds_windows, open_recording
    from meagan_lib.windows.cutting import WindowConfig, footprint_electrodes
    from meagan_lib.windows.imported import require_readable
    from meagan_lib.workflow.graph import console

    config = WindowConfig(neighbours=neighbours, channel=channel)
    if recording in SIMULATED:
        return None
    if holds_windows(recording):
        require_readable(recording, config, first.get("well") or None)
        if Path(recording).suffix.lower() == bxr.SUFFIX:
            console.print(f"note: {Path(recording).name} {bxr.CAUTION}", soft_wrap=True)
        return None
    source = open_recording(recording, **{choice: first.get(choice) or None for choice in ("well", "stream")})
    if config.channel != -1:
        config.require_channel(source.get_num_channels())
    footprint_electrodes(source, config)
    for caution in source.get_annotation("cautions") or ():
        console.print(f"note: {caution}", soft_wrap=True)
    return source


def execute(run: str, parameters: Mapping[str, object]) -> dict:
    """Merge the windows of a run's recordings into ``results/<run>/windows.h5`` and return the receipt.

    The receipt is the one that notebook 01 leaves for a single recording: whoever needs windows asks for no other.
    Notebook and figures that an earlier run of this name has of a single recording are removed. What cannot be merged,
    or has too few windows of all together, raises an InputError.
    """
    from meagan_lib.windows.spike_windows import SpikeWindows, Split
    from meagan_lib.windows.splits import merge, require_enough

    started = time.monotonic()
    windows = {label: SpikeWindows.load(RESULTS / part(run, label) / "windows.h5") for label in parts(parameters)}
    merged = merge(windows, str(parameters["split_by"]), tuple(parameters["split_fractions"]), int(parameters["seed"]))
    require_enough(merged, int(parameters["min_train_windows"]))
    target = RESULTS / run / "windows.h5"
    merged.save(target)
    figures.withdraw(run, FIRST)
    for suffix in ("ipynb", "html"):
        executed(FIRST, run, suffix).unlink(missing_ok=True)
    receipt = {
        "notebook": "merge",
        "seconds": round(time.monotonic() - started, 1),
        "figures": [],
        "products": {target.name: sha256(target)},
        "recordings": {
            label: {s.name.lower(): int(((merged.recording == i) & (merged.split == s)).sum()) for s in Split}
            for i, label in enumerate(merged.recordings)
        },
    }
    write_json(RESULTS / run / "receipts" / f"{FIRST}.json", receipt)
    return receipt


def main() -> int:
    """Run the job of the graph that merges: ``python -m meagan_lib.windows.merging RUN PARAMETERS.yaml``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("parameters", type=Path)
    a = parser.parse_args()
    parameters = read_parameters(a.parameters)
    return job("merge", a.run, lambda: execute(a.run, parameters))


if __name__ == "__main__":
    sys.exit(main())
