"""What a finished study says: its tables, with the comparisons that they allow, and conclusions in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from meagan_lib import InputError
from meagan_lib.evaluation.statistics import SIGNIFICANT, q_values
from meagan_lib.network.treatment import FEATURES, rescue
from meagan_lib.studies import jobs, statistics
from meagan_lib.studies.measures import MEASURES, SCORES
from meagan_lib.workflow.files import read_parameters


@dataclass(frozen=True)
class Findings:
    """The tables of a study of one's own, and what it compares."""

    table: pd.DataFrame
    """``COLUMNS`` and scores, a row for each recording."""
    scores: pd.DataFrame
    """A row for each recording, model and score, mean over seeds: ``value``, ``floor`` and ``reach``."""
    control: str
    pathological: str

    @property
    def known(self) -> pd.DataFrame:
        """Return the rows of recordings whose network was measured."""
        return self.table[self.table["electrodes"].notna()]

    def effects(self) -> pd.DataFrame:
        """Return the effects of conditions on all measures. InputError: too few cultures for any."""
        return self._required(statistics.effects(self.known, list(MEASURES), self.control), "of two conditions")

    def development(self) -> pd.DataFrame:
        """Return how measures change over days. InputError: too few cultures on several days."""
        slopes = statistics.development(self.known, list(MEASURES), self.control)
        return self._required(slopes, "on two days or more each, of one condition each,")

    def _required(self, found: pd.DataFrame, of: str) -> pd.DataFrame:
        if not found["p"].notna().any():
            raise InputError(f"nothing can be compared: it takes several cultures {of} whose network was measured")
        return found

    def rescue(self, n_permutations: int, seed: int) -> pd.DataFrame:
        """Return how far each condition goes from the pathological one back to the control: a row each.

        A culture counts as the mean of its recordings, so all should have been recorded on the same days.

        ``InputError``: no pathological condition, or fewer than three cultures of one of them.
        """
        if not self.pathological:
            raise InputError("no condition of the study is called pathological: name it there, with pathological")
        means = statistics.culture_means(self.known, list(FEATURES)).set_index("condition")[list(FEATURES)].dropna()
        others = [c for c in means.index.unique() if c not in (self.control, self.pathological)]
        if not others:
            raise InputError("the study has no treated condition beside control and pathological")
        if statistics.is_within(self.known):
            raise InputError("its cultures have all conditions in turn: the fraction is of cultures of their own")
        ends = [means.loc[[c]].to_numpy() if c in means.index else [] for c in (self.control, self.pathological)]
        found = {c: rescue(*ends, means.loc[[c]].to_numpy(), n_permutations, seed) for c in others}
        rows = {c: [r.fraction, *r.interval, r.p] for c, r in found.items()}
        table = pd.DataFrame.from_dict(rows, "index", columns=["fraction", "from", "to", "p"])
        return table.assign(q=q_values(table["p"]))

    @property
    def score_labels(self) -> dict[str, str]:
        """Return the names of the scores that there are, but for the gate's, which leaves no dots apart."""
        return {name: column.words for name, column in SCORES.items() if (self.scores["score"] == name).any()}

    @property
    def generators(self) -> pd.DataFrame:
        """Tabulate the generators: mean over recordings of each score, and on how many recordings each is the best.

        Best is lowest in C2ST AUC: the hardest to tell from real windows.
        """
        means = self.scores.pivot_table(index="model", columns="score", values="value", sort=False)
        auc = self.scores[self.scores["score"] == "c2st_auc"]
        best = auc.loc[auc.groupby("label")["value"].idxmin(), "model"].value_counts()
        return means.assign(best_on=best.reindex(means.index, fill_value=0), recordings=auc["label"].nunique())


def of_run(results: Path) -> Findings | None:
    """Read the tables of a study from the results of its run; None where the run is no study."""
    asked = results / "params" / f"{jobs.NAME}.yaml"
    if not asked.is_file() or not (results / f"{jobs.NAME}.csv").is_file():
        return None
    settings = read_parameters(asked)
    text = dict.fromkeys(("label", "recording", "culture", "condition"), str)
    table = pd.read_csv(results / f"{jobs.NAME}.csv", dtype=text)
    scores = pd.read_csv(results / f"{jobs.NAME}_scores.csv", dtype=text)
    keys, numbers = ["label", "model", "score"], ["value", "floor", "reach"]
    means = scores.groupby(keys, sort=False)[numbers].mean().reset_index()
    return Findings(table, means, settings["control"], settings["pathological"])


def conclusions(found: Mapping) -> list[str]:
    """Say in words what chapter 8 found (``findings.json``): of the simulations, the real culture and the own study."""
    null, effects, slopes = found["false findings"], found["effects"], found["development"]
    worst, held = (max(row[test] for row in null.values()) for test in ("recordings counted", "cultures, t"))
    said = [
        f"Tests that count recordings find something in up to {worst:.0%} of tables in which there is nothing; "
        f"Student's t on cultures in at most {held:.0%}.",
        f"Of {effects['tests']} effects in the planted study {effects['planted']} are significant, in the one "
        f"without {effects['nothing planted']}.",
        f"Slopes over days: {slopes['planted']} significant where development was planted, "
        f"{slopes['nothing planted']} where not.",
    ]
    growth = found["growth"]
    covered = growth["low"] <= growth["planted"] <= growth["high"]
    said.append(
        f"The planted growth of the rate, {growth['planted']:.4f} a day, is {'within' if covered else 'outside'} the "
        f"interval that was found, {growth['low']:.4f} to {growth['high']:.4f}."
    )
    for title, own in found["rescue"].items():
        fraction = "not defined" if own["fraction"] is None else f"{own['fraction']:.2f} (p = {own['p']:.3f})"
        said.append(f"Fraction of the way back by the treatment, {title}: {fraction}.")
    for name, own in found.items():
        if isinstance(own, Mapping) and "q < 0.05" in own:
            said.append(f"{name}: {own['q < 0.05']} of {own['tests']} effects are significant.")
    if own := found.get("study"):
        said.append(f"The study: {own['recordings']} recordings, of which {own['failed']} failed.")
        if rows := own.get("effects"):
            sure = [f"{r['condition']} on {r['measure']}" for r in rows if r["q"] is not None and r["q"] < SIGNIFICANT]
            said.append(f"Significant effects in it: {', '.join(sure) or 'none'} (of {len(rows)}).")
        for model, row in own.get("generators", {}).items():
            said.append(
                f"{model} has the lowest C2ST AUC on {row['best_on']:.0f} of {row['recordings']:.0f} recordings, "
                f"{row['c2st_auc']:.3f} on average."
            )
    return said
