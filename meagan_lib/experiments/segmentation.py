"""Segmentation: what a network that finds defects gains from synthetic images with masks, when few are annotated.

A sweep, ``meagan run segmentation``: one job for each collection of photographs, class of defects, arm, number of
annotated pieces and seed. It trains one segmentation network: on the annotated crops ``alone``, or with half of every
batch from an augmenter that was fitted to these same crops. All arms of a seed have the same crops, backgrounds, first
weights, number of steps and batch, and the same test: the half of the pieces that nothing learns from.
"""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from meagan_lib import ROOT, InputError, choose
from meagan_lib.experiments import sweep
from meagan_lib.images.crops import Crops
from meagan_lib.images.halves import split
from meagan_lib.images.opening import open_photographs
from meagan_lib.images.photographs import kinds
from meagan_lib.images.scores import segmentation_scores
from meagan_lib.images.segmentation import Segmentation, SegmentationConfig, require_size, synthetic_images
from meagan_lib.recordings.catalogue import catalogue
from meagan_lib.training.trainer import build_config
from meagan_lib.workflow.progress import note

TABLE = ROOT / "data" / "segmentation.csv"
"""The table that is kept, of the run that ``params/segmentation.yaml`` describes."""
READS = sweep.PHOTOGRAPHS
"""What a job is given: the name of an entry of the catalogue, or the folder, of the photographs."""
ALONE = "alone"
"""The arm without an augmenter, which all others are compared with."""
PASTED = "copy_paste"
"""The rival without training, which the painter is compared with."""
ARMS = (ALONE, "classical", PASTED, "decoder", "painter")
SCORES = ("dice", "iou", "ap_pixel", "ap_image")
COLUMNS = ("class", "arm", "n", "seed", "seconds", "crops", "test_crops", *SCORES)
CASE = re.compile(r"(?P<kind>.+)-(?P<arm>\w+)-(?P<n>\d+)-(?P<seed>\d+)")
DECLARED = {
    "photographs": ["magnetic_tile"],
    "classes": ["blowhole"],
    "arms": [ALONE],
    "n": [2],
    "seeds": [0],
    "size": 64,
    "exposures": 1,
    "split_seed": 0,
    "options": {},
    "augmenters": {},
}
"""Parameters of the section, with values of their types."""


def cases(section: Mapping) -> list[str]:
    """Return a job for each class, arm, number of annotated pieces and seed of a section that is checked.

    Raises
    ------
    InputError
        An unknown parameter, arm or option, a class that cannot name a file, or no arm to compare with.
    """
    sweep.check("segmentation", section, DECLARED)
    for arm in section["arms"]:
        choose("the arm in segmentation.arms", arm, ARMS)
    for arm in section["augmenters"]:
        choose("the augmenter in segmentation.augmenters", arm, ARMS[1:])
    if ALONE not in section["arms"]:
        raise InputError(f"segmentation.arms has no '{ALONE}': it is what all other arms are compared with")
    for kind in section["classes"]:
        if not re.fullmatch(r"\w[\w. -]*", kind):
            raise InputError(f"class '{kind}' cannot name a file: call it with letters, digits, '_', '-' and '.'")
    require_size(section["size"], configure(section, 0))
    return [
        f"{kind}-{arm}-{n}-{seed}"
        for kind in section["classes"]
        for n in section["n"]
        for arm in section["arms"]
        for seed in section["seeds"]
    ]


def refuse_early(section: Mapping) -> None:
    """Raise before anything has run when photographs cannot be listed, split, or have no such class.

    What has to be downloaded is not looked at.
    """
    for source in section["photographs"]:
        if catalogue().get(source, {}).get("open") != "photographs":
            photographs = open_photographs(source)
            split(photographs, section["split_seed"])
            for kind in section["classes"]:
                choose(f"the class of {source} in segmentation.classes", kind, kinds(photographs))


def configure(section: Mapping, seed: int) -> SegmentationConfig:
    """Return the config of the segmentation networks of a section."""
    return build_config(SegmentationConfig, **dict(section["options"]) | {"seed": seed})


def rows(source: str, case: str, section: Mapping) -> list[dict[str, object]]:
    """Return the scores of one network; nothing where there are no more pieces, unless this is the largest number."""
    kind, arm, n, seed = (CASE.fullmatch(case)[name] for name in ("kind", "arm", "n", "seed"))
    n, seed, size = int(n), int(seed), section["size"]
    training, test = split(open_photographs(source), section["split_seed"])
    if training.pieces(kind) <= n < max(section["n"]):
        return []
    annotated = training.annotated(kind, n, seed, section["exposures"])
    crops, backgrounds = annotated.crops(kind, size, seed), training.backgrounds(size, seed)
    started, config = time.process_time(), configure(section, seed)
    synthetic = None
    if arm != ALONE:
        options = section["augmenters"].get(arm, {})
        synthetic = augmented(arm, crops, backgrounds, seed, synthetic_images(config), options)
    note(stage="segmentation")
    network = Segmentation.fit(crops, backgrounds, config, synthetic)
    seconds = round(time.process_time() - started, 1)
    held_out = test.test_set(kind, size)
    scores = segmentation_scores(held_out.masks, network.probabilities(held_out.images))
    about = {"class": kind, "arm": arm, "n": annotated.pieces(kind), "seed": seed, "seconds": seconds}
    return [about | {"crops": len(crops), "test_crops": len(held_out)} | scores]


def augmented(arm: str, crops: Crops, backgrounds, seed: int, n: int, options: Mapping):
    """Fit the augmenter of an arm to crops and backgrounds; return ``n`` images and masks that it draws."""
    from meagan_lib.images.augmenters import fit_augmenter

    note(stage=f"fit of {arm}")
    return fit_augmenter(arm, crops.images, crops.masks, backgrounds, seed, **options).draw(n, seed)


def load(path: Path | str = TABLE) -> pd.DataFrame:
    """Read a table of the sweep: a row for each collection, class, arm, number of annotated pieces and seed."""
    return sweep.load(path, "segmentation", SCORES)


def effects(table: pd.DataFrame, score: str = "dice", against: str = ALONE) -> pd.DataFrame:
    """Return what each arm does to a score, as :func:`sweep.comparisons` describes it.

    An arm is compared with another one, ``alone`` by default, of the same class, pieces and seed.
    """
    table = table.assign(against=["" if arm == against else against for arm in table["arm"]])
    return sweep.comparisons(table, ["data", "class", "n", "arm"], score, higher_is_better=True)


def conclusions(table: pd.DataFrame) -> list[str]:
    """Say in sentences which arms help, and whether what is painted does more than what is pasted, by scores alone."""
    said, seeds = [], table["seed"].nunique()
    for against, arms in ((ALONE, ARMS[1:]), (PASTED, ("painter",))):
        found = effects(table, against=against)
        for arm in _in_order(set(found["arm"]) & set(arms)):
            its = found[found["arm"] == arm]
            gain, verdicts = its["difference"], its["verdict"].value_counts()
            change = f"Dice {gain.mean():+.3f} on average, {gain.min():+.3f} to {gain.max():+.3f}".replace("-", "−")
            said.append(
                f"{arm} against {against}: {change}, in {len(its)} cases (class and pieces) of {seeds} seeds; "
                f"{verdicts.get('helps', 0)} significant gains, {verdicts.get('hurts', 0)} losses (q < 0.05)"
            )
    best = table.groupby(["class", "n", "arm"])["dice"].mean().unstack("arm").idxmax(axis=1).value_counts()
    return [*said, "highest mean Dice: " + ", ".join(f"{arm} in {count}" for arm, count in best.items()) + " cases"]


def summary(path: Path) -> tuple[str, pd.DataFrame]:
    """Return title and closing table of the command: Dice by arm, mean over seeds."""
    table = load(path)
    found = effects(table)
    means = table.groupby(["data", "class", "n", "arm"], sort=False)["dice"].mean()
    cells = means.map("{:.3f}".format).unstack(sort=False).reset_index()
    title = f"Dice of a segmentation by n annotated pieces and arm, mean over seeds ({sweep.counted(found)})"
    return title, cells[["data", "class", "n", *_in_order(table["arm"])]]


def _in_order(arms: Iterable[str]) -> list[str]:
    """Return the arms that there are, in the order of ``ARMS``."""
    there = set(arms)
    return [arm for arm in ARMS if arm in there]
