"""What sentences of README and pages claim, as conditions over named results.

``<!-- holds: NAME -->`` stands behind a sentence and says that the function of that name returns True. Where it does
not, ``python -m meagan_lib.book.companion``, ``meagan book`` and the tests fail with the sentence.
"""

import re
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from meagan_lib import ROOT
from meagan_lib.book import conclusions, results
from meagan_lib.book.conclusions import ALIKE, SCALE
from meagan_lib.evaluation import SIGNIFICANT
from meagan_lib.evaluation.scores import LEADING
from meagan_lib.experiments import annotation, benchmark, transfer
from meagan_lib.workflow.measured import bench

TREES, CNN, COVERAGE = LEADING
BASELINES = ("vae", "dcgan", "tts_gan", "gaussian", "pca_gaussian", "gmm")
"""Baselines at thesis scale, flow matching left out."""
SIMULATIONS = ("simulation of 240 s", "noisier simulation of 240 s")
"""On which painted spikes were told from real ones (``bench/TOLD_APART.md``)."""


CLAIMS: dict[str, Callable[[], bool]] = {}
"""What a page or a lesson can claim."""


def claim(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Let pages and lessons claim a condition by its name."""
    CLAIMS[condition.__name__] = condition
    return condition


def signs(run: str) -> dict[tuple[str, str, str], int]:
    """Compare both models of the thesis with all others: (one, other, metric) → 1 if significantly better, -1 if worse.

    0 where the difference is not significant, after correction over all of these comparisons.
    """
    found = results.leads(run, results.rivals(run), LEADING)
    return {each: int(np.sign(lead.margin)) * lead.significant for each, lead in found.items()}


@claim
def flow_matching_leads() -> bool:
    """By the trees it has the lowest AUC on both recordings, significantly of the VAE-GAN, not the Transformer-GAN."""
    behind = {
        model: [results.ahead_of_all(run, "flow_matching", TREES)[model].significant for run in ALIKE]
        for model in benchmark.THESIS
    }
    lowest = all(results.best(run, TREES) == "flow_matching" for run in ALIKE)
    return lowest and all(behind["vae_gan"]) and not any(behind["transformer_gan"])


@claim
def flow_matching_alike_by_cnn() -> bool:
    """By the CNN flow matching and the models of the thesis do not differ significantly."""
    return not any(
        results.ahead_of_all(run, "flow_matching", CNN)[model].significant
        for run, model in product(ALIKE, benchmark.THESIS)
    )


@claim
def mixture_between() -> bool:
    """By the trees it is ahead of the VAE-GAN on the retina, else behind both GANs, not significantly."""
    before = set()
    for (run, name), model in product(ALIKE.items(), benchmark.THESIS):
        auc = {of: by[TREES]["value"] for of, by in conclusions.kept(run)["scores"].items()}
        if results.ahead_of_all(run, model, TREES)["gmm"].significant:
            return False
        if auc["gmm"] < auc[model]:
            before.add((name, model))
            if results.ahead_of_all(run, "gmm", TREES)[model].significant:
                return False
    return before == {("retina", "vae_gan")}


@claim
def all_pass_the_gate() -> bool:
    """Every window of the retina passes, of every model."""
    return all(by["passes"]["value"] == 1 for by in conclusions.kept("baselines_retina_hdmea")["scores"].values())


@claim
def thesis_models_on_retina() -> bool:
    """Over seeds, on the retina AUC of trees and coverage are significantly better of the Transformer-GAN, no more."""
    ahead = {}
    for run in SCALE:
        pairs = conclusions.over_seeds(run)
        ahead[run] = {metric: pairs[metric].difference < 0 for metric in LEADING if pairs[metric].q < SIGNIFICANT}
    return ahead == {"full": {}, "full_retina_hdmea": {TREES: True, COVERAGE: True}}


@claim
def vae_gan_closer_on_retina() -> bool:
    """Over seeds, on the retina Fréchet and log-spectral distance are significantly better of the VAE-GAN."""
    pairs = conclusions.over_seeds("full_retina_hdmea")
    found = (pairs[metric] for metric in ("frechet_distance", "log_spectral_distance"))
    return all(pair.q < SIGNIFICANT and pair.difference > 0 for pair in found)


@claim
def features_closer_on_simulation() -> bool:
    """Over seeds, three scores of features are better of the Transformer-GAN, C_T and authenticity of the VAE-GAN."""
    pairs = conclusions.over_seeds("full")
    ahead = {metric: pair.difference < 0 for metric, pair in pairs.items() if pair.q < SIGNIFICANT}
    mine = dict.fromkeys(("feature_wasserstein", "feature_ks", "amplitude_ks"), True)
    return ahead == mine | dict.fromkeys(("c_t", "authenticity"), False)


@claim
def as_many_seeds() -> bool:
    """Every model has as many seeds on one recording as on the other."""
    simulated, retina = (conclusions.kept(run)["scores"] for run in SCALE)
    return all(len(by[TREES]["seeds"]) == len(retina[model][TREES]["seeds"]) for model, by in simulated.items())


@claim
def flow_matching_closest_at_scale() -> bool:
    """By the trees flow matching has the lowest AUC on both recordings."""
    return all(results.best(run, TREES) == "flow_matching" for run in SCALE)


@claim
def flow_matching_ahead_at_scale() -> bool:
    """Flow matching is ahead of both models of the thesis on the simulation, of none on the retina."""
    found = [signs(run) for run in SCALE]
    behind = [[m for m in benchmark.THESIS if of[m, "flow_matching", TREES] < 0] for of in found]
    return behind == [list(benchmark.THESIS), []]


@claim
def reflow_at_scale() -> bool:
    """In one or two steps the flow is ahead of the VAE-GAN on the simulation by the trees, and differs in no more."""
    few, both = ("reflow_1", "reflow_2"), list(benchmark.THESIS)
    simulated, retina = (
        {each: of[each] for each in product(both, few, LEADING) if of[each]} for of in map(signs, SCALE)
    )
    return simulated == {("vae_gan", other, TREES): -1 for other in few} and not retina


@claim
def plain_at_scale() -> bool:
    """By the trees both plain forms are behind both models on the simulation; the VAE-GAN's not on the retina."""
    simulated, retina = (
        {(m, plain): of[m, plain, TREES] for m, plain in product(benchmark.THESIS, benchmark.PLAIN)}
        for of in map(signs, SCALE)
    )
    return set(simulated.values()) == {1} and retina == {each: int(each[1] != "plain_vae_gan") for each in retina}


@claim
def plain_covers_alike() -> bool:
    """No plain form differs from its own model in coverage."""
    return not any(signs(run)[m, plain, COVERAGE] for run in SCALE for plain, m in benchmark.PLAIN.items())


@claim
def flow_undecided_by_cnn_at_scale() -> bool:
    """By the CNN flow matching differs significantly from no model of the thesis."""
    return not any(signs(run)[m, "flow_matching", CNN] for run in SCALE for m in benchmark.THESIS)


@claim
def baselines_behind_at_scale() -> bool:
    """All other baselines but the mixture are behind both by both classifiers, DCGAN on the simulation by the trees."""
    asked = product(SCALE, benchmark.THESIS, (other for other in BASELINES if other != "gmm"), (TREES, CNN))
    even = {each for each in asked if signs(each[0])[each[1:]] != 1}
    return even == {("full", m, "dcgan", CNN) for m in benchmark.THESIS}


@claim
def mixture_at_scale() -> bool:
    """On the simulation it is behind both by the CNN and one by the trees, on the retina behind both by the trees."""
    pairs = [(m, metric) for m in benchmark.THESIS for metric in (TREES, CNN)]
    simulated, retina = ([of[m, "gmm", metric] for m, metric in pairs] for of in map(signs, SCALE))
    return simulated == [1, 1, 0, 1] and retina == [1, 0, 1, 0]


@claim
def coverage_at_scale() -> bool:
    """On coverage both are ahead of those baselines, but for mixture and TTS-GAN on the simulation, and for DCGAN."""
    others = {"full": {"gmm": 0, "tts_gan": 0, "dcgan": 0}, "full_retina_hdmea": {"dcgan": 0}}
    found = {run: signs(run) for run in SCALE}
    collapsed = min(conclusions.kept("full")["scores"]["tts_gan"][COVERAGE]["seeds"]) < 0.05
    return collapsed and all(
        found[run][m, other, COVERAGE] == others[run].get(other, 1)
        for run in SCALE
        for m in benchmark.THESIS
        for other in BASELINES
    )


@claim
def dense_at_scale() -> bool:
    """Windows of DCGAN have more neighbours than real ones have."""
    by = [conclusions.kept(run)["scores"]["dcgan"]["density"] for run in SCALE]
    return all(score["value"] > score["floor"] for score in by)


@claim
def locust_before_gaussian() -> bool:
    """On the locust both models beat a Gaussian on all leading scores, significantly but for the GAN by the CNN."""
    leads = results.leads("locust", [(model, "gaussian") for model in benchmark.THESIS], LEADING)
    unsure = {(one, metric) for (one, _, metric), lead in leads.items() if not lead.significant}
    return all(lead.margin > 0 for lead in leads.values()) and unsure == {("transformer_gan", CNN)}


@claim
def no_gain_shown() -> bool:
    """No gain and no loss of a classifier by synthetic windows is significant."""
    return not (results.gains()["q"] < SIGNIFICANT).any()


@claim
def gaussian_gains_alike() -> bool:
    """With few labelled windows no network, on average, adds more to a classifier than a Gaussian does, within .005."""
    mean = results.few_labelled().groupby("generator")["difference"].mean()
    return mean.drop(["gaussian", "classical"]).max() < mean["gaussian"] + 0.005


@claim
def most_labelled_lose() -> bool:
    """With the most labelled windows every addition lowers the score."""
    found = results.gains()
    return (found[found["n"] == found["n"].max()]["difference"] < 0).all()


@claim
def planted_treatment_found() -> bool:
    """In simulated cultures the planted rescue is found, and the treatment that does nothing is not."""
    with np.load(conclusions.FIGURES / "locust" / "organoid_treatment.npz", allow_pickle=False) as arrays:
        found = {name: arrays[f"{name}: share, interval, p"] for name in ("half rescued", "treated in vain")}
    return found["half rescued"][3] < SIGNIFICANT <= found["treated in vain"][3] and found["half rescued"][1] > 0


@claim
def no_treatment_beyond_drift() -> bool:
    """In the recorded culture no distance between conditions exceeds the drift within its recordings."""
    with np.load(conclusions.FIGURES / "locust" / "organoid_treatment_recorded.npz", allow_pickle=False) as arrays:
        return bool((arrays["value"] < arrays["drift"]).all())


@claim
def transfer_saves_on_some() -> bool:
    """Fine-tuning saves steps on all targets but the one with the fewest windows; no difference is significant."""
    table = transfer.load(transfer.TABLE)
    fewest = table.groupby("data")["n"].max().idxmin()
    saved = transfer.savings(table).groupby("data")["saved"].min()
    clear = (transfer.effects(table)["q"] < SIGNIFICANT).any()
    return bool(saved[fewest] <= 0 and (saved.drop(fewest) > 0).all() and not clear)


@claim
def no_source_passes() -> bool:
    """Without fine-tuning a generator scores worse on another recording than one that is trained there from scratch."""
    found = transfer.effects(transfer.load(transfer.TABLE))
    return bool((found[found["n"] == 0]["difference"] > 0).all())


@claim
def sources_cost_more() -> bool:
    """To train a source takes longer than what it saves."""
    found = transfer.savings(transfer.load(transfer.TABLE))
    return bool((found["source_seconds"] > found["saved_seconds"]).all())


@claim
def copies_told_less() -> bool:
    """By the trees copies are told less than templates with every seed on both simulations; their range has 0.5."""
    rows = [f"copy_paste on {simulation}" for simulation in SIMULATIONS]
    ranges = [bench("TOLD_APART", row, "trees: AUC").split(" to ") for row in rows]
    every = all(bench("TOLD_APART", row, "trees: less") == "3" for row in rows)
    return every and all(float(low) <= 0.5 <= float(high) for low, high in ranges)


@claim
def nothing_told_on_locust() -> bool:
    """On locust no painter is told significantly less or more than templates, by either classifier, with any seed."""
    painters, kinds = ("painting_gan", "gaussian_spikes", "copy_paste"), product(("trees", "CNN"), ("less", "more"))
    cells = [f"{of}: {which}" for of, which in kinds]
    return all(bench("TOLD_APART", f"{name} on locust", cell) == "0" for name in painters for cell in cells)


@claim
def painting_gan_told_no_less() -> bool:
    """On no simulation the painting GAN is told less than templates with any seed; by the CNN more with some."""
    rows = [f"painting_gan on {simulation}" for simulation in SIMULATIONS]
    never = all(bench("TOLD_APART", row, f"{of}: less") == "0" for row in rows for of in ("trees", "CNN"))
    return never and all(int(bench("TOLD_APART", row, "CNN: more")) for row in rows)


def in_time(recording: str, case: str, page: str = "EQUAL_TIME") -> list[float]:
    """Return mean, least and largest AUC of trees over the seeds of a case of a page of ``bench/``."""
    return [float(number) for number in re.findall(r"[.\d]+", bench(page, f"{recording}: {case}", "AUC of trees"))]


@claim
def whitened_in_half_the_time() -> bool:
    """Of Algorithm 1's AUC: in half the time no higher than its seeds differ, in all of it lower by more than .015."""
    for recording, model in product(("simulated", "retina_hdmea"), ("Transformer-GAN", "VAE-GAN")):
        before, low, high = in_time(recording, f"{model}, Algorithm 1")
        half, whole = (in_time(recording, f"{model}, whitened{time}")[0] for time in ("", ", all the time"))
        if half - before >= high - low or whole >= before - 0.015:
            return False
    return True


def against_algorithm_1(case: str) -> dict[tuple[str, str], tuple[float, float]]:
    """Return share of the seconds, and how much higher the AUC is, of a case in ``full``, by recording and model."""
    found = {}
    for recording, model in product(("simulated", "retina_hdmea"), ("Transformer-GAN", "VAE-GAN")):
        cases = [f"{model}, {one}" for one in (case, "Algorithm 1")]
        now, before = (float(bench("EQUAL_TIME_FULL", f"{recording}: {one}", "seconds")) for one in cases)
        higher = np.subtract(*(in_time(recording, one, "EQUAL_TIME_FULL")[0] for one in cases))
        found[recording, model] = now / before, float(higher)
    return found


@claim
def as_good_in_less_time_in_full() -> bool:
    """In 75 % of the seconds all four AUCs are alike within .015."""
    return all(share <= 0.75 and abs(higher) < 0.015 for share, higher in against_algorithm_1("as it is").values())


@claim
def half_the_time_in_full() -> bool:
    """In half of the seconds the Transformer-GAN on the simulation alone is behind by .015."""
    found = against_algorithm_1("in half the time")
    behind = [key for key, (_, higher) in found.items() if higher >= 0.015]
    return behind == [("simulated", "Transformer-GAN")] and all(share <= 0.5 for share, _ in found.values())


@claim
def all_the_time_in_full() -> bool:
    """In no more than all of the seconds no AUC is another by .015."""
    return all(share <= 1 and abs(higher) < 0.015 for share, higher in against_algorithm_1("all the time").values())


@claim
def no_idea_ahead() -> bool:
    """No idea for the game is ahead of the Transformer-GAN as it is by .015 of the AUC of trees on both recordings."""
    tried = re.findall(r"^\| simulated: (.*?) \|", (ROOT / "bench" / "IDEAS.md").read_text(), flags=re.M)

    def ahead(idea: str, recording: str) -> bool:
        now, then = (in_time(recording, case, "IDEAS")[0] for case in ("as it is", idea))
        return then <= now - 0.015

    return len(tried) > 1 and not any(ahead(idea, "simulated") and ahead(idea, "retina_hdmea") for idea in tried)


@claim
def whitened_changes_no_cnn() -> bool:
    """By the CNN the AUC is that of Algorithm 1 within .015; in half the time the VAE-GAN covers less."""
    for recording, model in product(("simulated", "retina_hdmea"), ("Transformer-GAN", "VAE-GAN")):
        rows = [f"{recording}: {model}, {case}" for case in ("Algorithm 1", "whitened", "whitened, all the time")]
        before, *after = (float(bench("EQUAL_TIME", row, "of a CNN")) for row in rows)
        covered = [float(bench("EQUAL_TIME", row, "coverage")) for row in rows[:2]]
        if max(abs(cnn - before) for cnn in after) > 0.015 or (model == "VAE-GAN" and covered[1] >= covered[0]):
            return False
    return True


@claim
def half_the_time() -> bool:
    """On both recordings the AUC rises: the Transformer-GAN's by less than its seeds differ, the VAE-GAN's by more."""
    for recording in ("simulated", "retina_hdmea"):
        before, low, high = in_time(recording, "Transformer-GAN, Algorithm 1")
        rise = in_time(recording, "Transformer-GAN, all four")[0] - before
        cases = (in_time(recording, f"VAE-GAN, {case}")[0] for case in ("all four", "Algorithm 1"))
        if not 0 < rise < min(high - low, np.subtract(*cases)):
            return False
    return True


@claim
def half_the_steps_cost_more() -> bool:
    """On both recordings the Transformer-GAN of half the steps is further behind than the cheaper one."""
    cases = ("half the steps", "Transformer-GAN, all four")
    return all(np.subtract(*(in_time(rec, case)[0] for case in cases)) > 0.02 for rec in ("simulated", "retina_hdmea"))


def detected(depth: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return recall of spikes of a ``depth`` at one false positive: of detectors, all cases, and of the threshold."""
    study = annotation.load()
    its = study[(study["false_positive_rate"] == 1.0) & (study["electrodes"] == "all") & (study["depth"] == depth)]
    alone = its["painter"] == annotation.THRESHOLD
    return its[~alone], its[alone].set_index("data")["recall"]


@claim
def detectors_find_faint() -> bool:
    """Fitted to more than the fewest spikes, every detector finds more of the faintest spikes than the threshold."""
    found, limit = detected("3–4")
    found = found[found["n_cut"] > found["n_cut"].min()]
    return bool((found["recall"] > found["data"].map(limit)).all())


@claim
def detectors_lose_on_locust() -> bool:
    """On locust, of spikes of 5 to 6 noise levels, those of every painter and number find fewer than the threshold."""
    found, limit = detected("5–6")
    means = found[found["data"] == "locust"].groupby(["painter", "n_cut"])["recall"].mean()
    return bool((means < limit["locust"]).all())


@claim
def no_painter_differs() -> bool:
    """No detector of a painter differs significantly from that of templates, nor that from the threshold."""
    return not (annotation.effects(annotation.load())["q"] < SIGNIFICANT).any()
