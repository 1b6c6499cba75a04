"""Reference results: what a run gave when it was kept, and whether another run of the same gives it again.

``figures/<run>/reference.json`` stands beside the figures of a run. A run is held against it on three levels: the same
bits, where the machine promises them; scores within their intervals; and what the scores say, which model is
significantly better than which.
"""

import os
import platform
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch

from meagan_lib import InputError
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.evaluation.scores import LEADING, REACH
from meagan_lib.evaluation.scores import compare as compare_models
from meagan_lib.experiments import benchmark
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS, read_receipt, require_finished
from meagan_lib.workflow.files import read_json, read_parameters, sha256, write_json

FILE = "reference.json"
NOT_BITS = ("config.json", "cost.json")
"""Products that depend on the sources and on seconds, which may change while all results stay."""


def keep(run: str) -> Path:
    """Write the reference of a finished run, one with scores, beside its figures.

    ``InputError``: no scores, or none of the parameters that the run has now, for its last attempt came to no end.
    """
    require_finished(run)
    path = figures.folder(run) / FILE
    write_json(path, _state(run))
    return path


def require_products(run: str) -> None:
    """Refuse a run of which files are missing or are not as its notebooks and fits have written them."""
    products = {
        RESULTS / run / where / product: digest
        for where, receipt in _receipts(run)
        for product, digest in receipt.get("products", {}).items()
        if Path(product).name not in NOT_BITS
    }
    for path, digest in products.items():
        if not path.is_file() or sha256(path) != digest:
            found = "is missing" if not path.is_file() else "is not as it was written"
            raise InputError(f"{os.path.relpath(path)} {found}: delete what is left, and meagan run makes it again")


def _receipts(run: str) -> list[tuple[Path, dict]]:
    """Return all receipts of a run, each after the folder within it in which its products lie."""
    folder = RESULTS / run
    own = [(Path(), path) for path in sorted(folder.glob("benchmark/*/*/receipt.json"))]
    files = [(path.parents[1].relative_to(folder), path) for path in sorted(folder.rglob("receipts/*.json"))] + own
    return [(where, read_receipt(path)) for where, path in files]


def _state(run: str) -> dict:
    """Return fingerprint, machine, seconds, parameters, digests and scores of a finished run."""
    folder = RESULTS / run
    if not (scores := benchmark.read_scores(folder / benchmark.SCORES)):
        raise InputError(f"there are no scores of a run '{run}': make them with meagan run")
    cpu = torch.backends.cpu.get_cpu_capability()
    receipts = _receipts(run)
    return {
        "fingerprint": {"torch": torch.__version__, "numpy": np.__version__, "cpu": cpu},
        "machine": {"cores": os.cpu_count(), "system": platform.platform(terse=True), "processor": platform.machine()},
        "seconds": {f"{receipt['notebook']} {where.name}".strip(): receipt["seconds"] for where, receipt in receipts},
        "parameters": {
            str(path.relative_to(folder / "params").with_suffix("")): read_parameters(path)
            for path in sorted((folder / "params").rglob("*.yaml"))
        },
        "digests": {
            str(where / product): digest
            for where, receipt in receipts
            for product, digest in receipt.get("products", {}).items()
            if Path(product).name not in NOT_BITS
        },
        "scores": scores,
        "moment_matching": benchmark.read_scores(folder / benchmark.MATCHED_SCORES),
    }


class Finding(NamedTuple):
    """What one level says: whether it holds (None: it cannot be compared), and the sentence."""

    level: str
    holds: bool | None
    sentence: str


def compare(run: str, kept: Mapping) -> list[Finding]:
    """Hold a finished run against a reference, as :func:`keep` wrote it, level by level."""
    now = _state(run)
    return [_bits(now, kept), _scores(now["scores"], kept["scores"]), _statements(now["scores"], kept["scores"])]


def load(run: str) -> dict | None:
    """Load the reference that stands beside the figures of a run, or None. ``InputError``: a damaged one."""

    def sound(found: Mapping) -> bool:
        parts = [found.get(name) for name in ("parameters", "fingerprint", "digests", "scores", "moment_matching")]
        if not all(isinstance(part, dict) for part in parts):
            return False
        _, *words, scores, matched = parts
        known = all(isinstance(word, str) for part in words for word in part.values())
        return known and REACH in scores and benchmark.are_scores(scores) and benchmark.are_scores(matched)

    return read_json(figures.folder(run) / FILE, sound) or None


def _bits(now: Mapping, kept: Mapping) -> Finding:
    if now["fingerprint"] != kept["fingerprint"]:
        other = [f"{name} {value}" for name, value in sorted(kept["fingerprint"].items() - now["fingerprint"].items())]
        return Finding("bits", None, f"not compared, for the reference has another fingerprint: {'; '.join(other)}")
    if now["parameters"] != kept["parameters"]:
        return Finding("bits", None, "not compared, for the reference has other parameters")
    files = len(kept["digests"])
    if differing := sorted(dict(kept["digests"].items() - now["digests"].items())):
        return Finding("bits", False, f"{len(differing)} of {files} files differ: {', '.join(differing)}")
    return Finding("bits", True, f"all {files} files are the same")


def _scores(now: Mapping, kept: Mapping) -> Finding:
    """Compare: scores agree that differ by no more than both 95 % intervals allow; one in twenty may not, by chance."""
    outside, n = [], 0
    for model in kept:
        for metric, old in kept[model].items():
            new = now.get(model, {}).get(metric)
            if new is None:
                return Finding("scores", False, f"there is no {metric} of {model}")
            half = np.hypot(*(np.subtract(*s["interval"][::-1]) / 2 for s in (old, new)))
            n += 1
            if abs(new["value"] - old["value"]) > half:
                outside.append(f"{model} {metric} {new['value']:.3g} ({old['value']:.3g})")
    allowed = int(scipy.stats.binom.ppf(0.999, n, 0.05))
    sentence = f"{n - len(outside)} of {n} agree within their 95 % intervals, {allowed} may differ by chance"
    return Finding("scores", len(outside) <= allowed, sentence + (f"; not {', '.join(outside)}" if outside else ""))


def _statements(now: Mapping, kept: Mapping) -> Finding:
    """Compare orders: a model that is significantly better than another in the reference must not be worse."""
    models = [model for model in kept if model != REACH]
    names = [name for name in LEADING if name in kept[REACH]]
    pairs = [(one, other, name) for one, other in combinations(models, 2) for name in names]
    before = {each: lead for each, lead in compare_models(kept, pairs).items() if lead.significant}
    after = compare_models(now, [each for each in before if set(each[:2]) <= set(now)])
    turned = []
    for (one, other, name), lead in before.items():
        first, second = (one, other) if lead.margin > 0 else (other, one)
        if (one, other, name) not in after or after[one, other, name].margin * lead.margin <= 0:
            turned.append(f"{first} before {second} on {METRICS[name].label}")
    if turned:
        return Finding("statements", False, f"{len(turned)} of {len(before)} do not hold: {'; '.join(turned)}")
    on = ", ".join(METRICS[name].label for name in names)
    return Finding("statements", True, f"all {len(before)} hold (significant orders on {on})")
