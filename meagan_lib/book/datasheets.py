"""What generated windows are, in words: the datasheet of a data set, and the card of a generator.

What it is, what it was trained on, how close it comes, what it may not be used for: after Gebru et al. 2021,
doi:10.1145/3458723, and Mitchell et al. 2019, doi:10.1145/3287560. ``python -m meagan_lib.book.datasheets`` writes the
cards of the generators that come with the library anew.
"""

from collections.abc import Mapping

import numpy as np

from meagan_lib import ROOT, plots
from meagan_lib.book.building import scores as scores_of
from meagan_lib.book.tables import heading
from meagan_lib.evaluation.metrics import ALL
from meagan_lib.experiments.portable import PRETRAINED, SpikeGenerator, open_generator
from meagan_lib.recordings.catalogue import catalogue, source_hashes
from meagan_lib.recordings.opening import open_recording
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.spike_windows import Split
from meagan_lib.workflow import figures
from meagan_lib.workflow.files import atomic, read_json, write_if_changed

KEPT_AS = {"simulated": "baselines"}
"""Generators that come with the library: the kept run, ``figures/<run>/reference.json``, that trained each."""
NOT_FOR = """\
- **As recordings.** Say that they are generated, and by what, wherever they are shown or handed on.
- **As evidence.** They hold nothing about cells, cultures, diseases or drugs that the recording did not, and some of
  that wrongly. They add no case to an experiment: no test counts them as measurements.
- **For what they lack.** They have no times: they say nothing of rates, bursts or connections. Rare spikes may be
  missing or too frequent, and another chip, filter, threshold or culture is not in them.
- **To judge a detector or a sorter alone.** Confirm on recorded spikes what was found on generated ones.
- **For decisions about patients.**
- **To hide the recording.** Models may repeat training windows; the scores say how near they come: *nearest / second
  nearest*, *C_T*, *authenticity*."""


def label_of_folder(name: str) -> str:
    """Return what the model of a file ``<model>`` or ``<model>_<seed>`` is called."""
    model, _, seed = name.rpartition("_")
    return f"{plots.LABELS[model]}, seed {seed}" if seed.isdecimal() else plots.LABELS.get(name, name)


def trained_on(generator: SpikeGenerator) -> str:
    """Say in Markdown what a generator was trained on, with the licence of each recording."""
    about = generator.trained_on
    hashes = about.get("source_hashes", about.get("source_sha256", []))  # as older ones call them
    names = sorted(name for name in catalogue() if set(hashes) & source_hashes(name))
    lines = []
    for name in names:
        entry = catalogue()[name]
        lines.append(f"- `{name}`: {entry['title']}. Licence: {entry['licence']}. Source: {entry['citation']}")
    if not names:
        for name in about["recordings"]:
            own = "drawn by the simulator of this project, no cell was recorded; its licence is that of the project"
            other = "not in the catalogue of public recordings: ask who recorded it what may be done with it"
            lines.append(f"- `{name}`: {own if name.startswith('simulated') else other}")
    kind = "window" if generator.electrodes == 1 else f"footprint of {generator.electrodes} electrodes"
    ms = generator.n_samples / generator.sampling_rate_hz * 1000
    lines.append(
        f"- {about['windows']} windows: each a {kind}, {generator.n_samples} samples ({ms:.3g} ms at "
        f"{generator.sampling_rate_hz:g} Hz), its peak at sample {generator.pre_samples}, in {unit(generator)}; "
        f"scaled by {about['normalisation'].replace('_', ' ')}"
    )
    cut = about["detection"]
    if "band_hz" in cut:
        low, high = cut["band_hz"]
        depth = f"; peaks deeper than {cut['threshold_mad']:g} noise levels" if "threshold_mad" in cut else ""
        lines.append(f"- cut from the band {low:g} to {high:g} Hz{depth}")
    if generator.classes:
        shown = ", ".join(generator.classes[:8]) + (", …" if len(generator.classes) > 8 else "")
        lines.append(f"- labels, by {about['condition']}: {shown}")
    return "\n".join(lines)


def unit(generator: SpikeGenerator) -> str:
    """Return the amplitude unit as it is written."""
    return plots.UNITS[generator.amplitude_unit]


def score_table(scores: Mapping[str, Mapping]) -> str:
    """Return the scores of models as a table in Markdown: value, 95 % interval, floor and reach of each."""
    rows = ["| model | score | value | 95 % interval | floor | reach |", "|---|---|---:|---|---:|---:|"]
    for model, found in scores.items():
        for metric, score in found.items():
            interval = "{:.3f} to {:.3f}".format(*score["interval"])
            value, floor, reach = (f"{score[key]:.3f}" for key in ("value", "floor", "reach"))
            name = plots.LABELS.get(model, model)
            rows.append(f"| {name} | {heading(metric)} | {value} | {interval} | {floor} | {reach} |")
    return "\n".join(rows)


HOW_TO_READ = """\
Scores compare with held-out windows of the recording. *Floor*: what two halves of those give; *reach*: what training
windows give. ↓: the lower the better; ↑: the higher; →: the closer to the floor."""


def shown(scores: Mapping[str, Mapping], models: list[str]) -> dict[str, dict]:
    """Return the scores that decide something, of the ``models`` that have any."""
    decide = [metric for metric in ALL if not ALL[metric].report_only]
    return {m: {k: scores[m][k] for k in decide if k in scores[m]} for m in models if m in scores}


def datasheet(run: str, made: Mapping[str, tuple[SpikeGenerator, Mapping[str, int]]]) -> str:
    """Return the datasheet of the generated windows of a run, in Markdown.

    ``made``: name of the file → generator, and its counts ``windows`` and ``passing``.
    """
    first = next(iter(made.values()))[0]
    rows = ["| file | model | windows | pass the gate |", "|---|---|---:|---:|"]
    rows += [
        f"| `{name}.npz` | {label_of_folder(name)} | {counts['windows']} | {counts['passing']} |"
        for name, (_, counts) in made.items()
    ]
    found = shown(scores_of(run), list(dict.fromkeys(generator.name for generator, _ in made.values())))
    nothing = "Nobody has measured it: notebook 4 of this run was not executed."
    close = f"{HOW_TO_READ}\n\n{score_table(found)}" if found else nothing
    table = "\n".join(rows)
    return f"""# Generated spike windows of run '{run}'

**No cell fired these spikes: models drew them.**

## What is in it

{table}

Each file has `windows` float32 (n, samples), in {unit(first)}; `passes` (n,), which of them fulfil what was asked of
recorded ones (*the gate*); `time_ms` (samples,), from the peak; where models have them `footprints` (n, electrodes,
samples), the own electrode first, and the `unit` or `channel` that was asked for. In files called `_matched` mean and
covariance are those of the training windows. `numpy.load(file)` reads them.

## What the models were trained on

{trained_on(first)}

## How close they come

{close}

## What they may not be used for

{NOT_FOR}
"""


def card(name: str) -> str:
    """Return the card of a generator that comes with the library, in Markdown."""
    generator = open_generator(name)
    found = read_json(ROOT / "figures" / KEPT_AS[name] / "reference.json")["scores"]
    return f"""# {plots.LABELS[generator.name]} of `{name}`

```python
from meagan_lib import load

windows = load("{name}").sample(1000, seed=0)  # float32 (1000, {generator.n_samples}), in {unit(generator)}
```

A generator of spike windows, as `meagan run quick` trains it: `model.safetensors` has the weights of notebook 2,
`model.json` all else. It is one of a simulation: `locust`, the recording of the project's pictures, names no licence
under which what was made of it may be passed on. `meagan run quick --recording locust` trains one on it.

## What it was trained on

{trained_on(generator)}

## How close it comes

{HOW_TO_READ}

{score_table(shown(found, [generator.name]))}

## What its windows may not be used for

{NOT_FOR}

## Licence

That of the project, BSD 3-Clause.
"""


def write_cards() -> None:
    """Write the card of every generator that comes with the library, ``card.md``, and draw its windows."""
    for name in KEPT_AS:
        write_if_changed(PRETRAINED / name / "card.md", card(name))
        drawn_by = open_generator(name)
        windows = cut_windows(open_recording(name), DetectionConfig(), WindowConfig())
        real = np.random.default_rng(0).permutation(windows.of(Split.TEST))[:60]
        fig = plots.samples(windows.time_ms, real, drawn_by.sample(60), drawn_by.name, windows.amplitude_unit)
        with atomic(ROOT / "figures" / "pretrained" / f"{name}.png") as temporary:
            temporary.write_bytes(figures.png(fig))


if __name__ == "__main__":
    write_cards()
