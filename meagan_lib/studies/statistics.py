"""Effects in a study: mixed-effects models with culture as random effect, and what is tested when they are singular.

One culture is one sample: recordings of one culture resemble one another, and a test that counts recordings finds
effects that are none (:func:`by_recordings`). The model of a measure y of culture c under condition k on a day is

    y = μ + α_k + β day + u_c + ε,    u_c ~ N(0, σ_u²),  ε ~ N(0, σ²),

by REML (statsmodels' ``MixedLM``). Its usual test takes the estimate over its standard error for a normal variable,
which few cultures are too few for. Here it is Student's t with the degrees of freedom of the level at which the effect
varies (Pinheiro & Bates 2000, § 2.4.2): cultures − conditions, where each culture has one condition; where all cultures
have all of them in turn, (cultures − 1)(conditions − 1), with culture:condition as random as culture. Slopes over days
have a random slope beside the random intercept, and cultures − conditions as well.

With few cultures the variance between them is often estimated as 0, and the fit is singular: MixedLM then says so, or
stops. The test is then made on one number for each culture, its mean or its slope (:data:`ON_CULTURES`), which is exact
where all cultures have the same days, and there equals the mixed model wherever that one is not singular. ``how`` of
each row says which it was.

How often p < 0.05 where there is nothing (:func:`false_positives`, 200 drawn tables each, so ± 3 %; variance between
cultures that within): of 3 × 4 cultures on 3 days, recordings counted 18 %, normal 8 %, t 5 %; a third of the
recordings missing, 13, 10 and 6 %; slopes that differ between cultures, 16, 10 and 7 %; 2 × 6 cultures, 22, 9 and 6 %;
3 conditions in each of 4 cultures, once or twice, t 6 and 2 %. Slopes by t: 3 to 4 %.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.stats
import statsmodels.formula.api as smf
from statsmodels.tools.sm_exceptions import ModelWarning

from meagan_lib.evaluation.statistics import SIGNIFICANT, q_values

MIXED = "mixed model"
ON_CULTURES = "one number a culture"
NOT_TESTED = "too few cultures"
NO_SPREAD = "cultures of a condition are all alike"
BOUNDARY = 0.01
"""A random effect whose variance is below this fraction of the residual one is none, and the fit singular."""


def is_within(table: pd.DataFrame) -> bool:
    """Return whether cultures have several conditions each, so that a culture is compared with itself."""
    return bool((table.groupby("culture")["condition"].nunique() > 1).any())


def effects(table: pd.DataFrame, measures: Sequence[str], control: str) -> pd.DataFrame:
    """Estimate the effect of each condition against ``control`` on each measure, with day as covariate.

    A row for each: ``measure``, ``condition``, ``estimate`` in the unit of the measure, its 95 % interval ``low`` to
    ``high``, ``sd`` (of the measure within conditions, over cultures), ``df``, ``p``, ``q`` (corrected for all rows)
    and ``how`` it was tested.
    """
    return _corrected([row for measure in measures for row in _of_conditions(_known(table, measure), measure, control)])


def development(table: pd.DataFrame, measures: Sequence[str], control: str) -> pd.DataFrame:
    """Estimate how each measure changes from day to day: slope of ``control``, and how much others differ from it.

    Rows as :func:`effects` has them, per day; ``condition`` is the control for its own slope. No row where no culture
    was recorded on two days.
    """
    rows = []
    for measure in measures:
        known = _known(table, measure)
        if (known.groupby("culture")["day"].nunique() > 1).any() and not is_within(known):
            rows += _of_slopes(known, measure, control)
    return _corrected(rows)


def by_recordings(table: pd.DataFrame, measure: str, control: str, condition: str) -> float:
    """Return p of the naive t-test, which takes each recording for a sample: too small where cultures differ."""
    values = _known(table, measure).set_index("condition")["y"]
    return float(scipy.stats.ttest_ind(values.loc[[condition]], values.loc[[control]]).pvalue)


def culture_means(table: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Average the recordings of each culture under each condition, a row each: one culture is one sample."""
    keys = table[["condition", "culture"]].drop_duplicates()
    means = table.groupby(["condition", "culture"])[list(measures)].mean()
    return means.loc[list(keys.itertuples(index=False, name=None))].reset_index()


def false_positives(draw: Callable[[np.random.Generator], pd.DataFrame], n: int, seed: int = 0) -> dict[str, float]:
    """Count how often tests find an effect in ``n`` tables in which there is none: fractions with p < 0.05.

    ``draw`` makes a table with one measure, ``y``, whose first condition is the control and second another. By name:
    the test that counts recordings; what :func:`effects` does, but with a normal distribution for Student's; what it
    does; and how often the mixed model was singular.
    """
    counts = dict.fromkeys(("recordings counted", "cultures, normal", "cultures, t", "singular"), 0)
    for i in range(n):
        table = draw(np.random.default_rng([seed, i]))
        control, other = table["condition"].unique()[:2]
        first = effects(table, ["y"], control).set_index("condition").loc[other]
        counts["recordings counted"] += by_recordings(table, "y", control, other) < SIGNIFICANT
        counts["cultures, normal"] += 2 * scipy.stats.norm.sf(abs(first["t"])) < SIGNIFICANT
        counts["cultures, t"] += first["p"] < SIGNIFICANT
        counts["singular"] += first["how"] != MIXED
    return {name: float(count / n) for name, count in counts.items()}


def _known(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Take the rows of a measure that have it, as column ``y`` beside the factors."""
    own = table[["culture", "condition", "day"]].assign(y=table[measure].astype(float))
    return own[np.isfinite(own["y"])].reset_index(drop=True)


def _corrected(rows: Sequence[Mapping]) -> pd.DataFrame:
    columns = ["measure", "condition", "estimate", "low", "high", "sd", "t", "df", "p", "q", "how"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(q=q_values(found["p"]))


def _row(measure: str, condition: str, estimate: float, error: float, df: int, sd: float, how: str) -> dict:
    """Make a row of the table from an estimate and its standard error, by Student's t."""
    if df > 0 and not error > 1e-9 * abs(estimate):
        error, how = np.nan, NO_SPREAD
    half = float(scipy.stats.t.ppf(0.975, df)) * error if df > 0 else np.nan
    t = estimate / error
    p = 2 * float(scipy.stats.t.sf(abs(t), df)) if df > 0 else np.nan
    numbers = {
        "estimate": estimate,
        "low": estimate - half,
        "high": estimate + half,
        "sd": sd,
        "t": t,
        "df": df,
        "p": p,
    }
    return {"measure": measure, "condition": condition, "how": how if df > 0 else NOT_TESTED} | numbers


def _mixed(table: pd.DataFrame, formula: str, **random: object) -> tuple[pd.Series, pd.Series] | None:
    """Fit a mixed model by REML; return estimates and standard errors by name, None where it is singular."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # that it is singular is seen below, and told in the table
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            fit = smf.mixedlm(formula, table, groups="culture", **random).fit(method=["lbfgs", "powell"])
            errors = fit.bse_fe
        except np.linalg.LinAlgError:  # on the boundary the Hessian has no inverse
            return None
    variances = np.r_[np.linalg.eigvalsh(np.atleast_2d(fit.cov_re)), fit.vcomp]
    if not fit.converged or not np.isfinite(errors).all() or variances.min() < BOUNDARY * fit.scale:
        return None
    return fit.fe_params, errors


def _least_squares(table: pd.DataFrame, formula: str) -> tuple[pd.Series, pd.Series]:
    fit = smf.ols(formula, table).fit()
    return fit.params, fit.bse


def _standardised(table: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Scale y, and centre the days, so that fits are well conditioned; return the scale of y as well."""
    scale = float(table["y"].std()) if len(table) > 1 else 0.0
    scale = scale if scale > 1e-12 * max(float(table["y"].abs().max()), 1e-300) else 1.0
    day = table["day"] - table["day"].mean()
    return table.assign(y=(table["y"] - table["y"].mean()) / scale, day=day / max(float(day.std()), 1e-12)), scale


def _spread(table: pd.DataFrame) -> float:
    """Return the standard deviation of the means of cultures within conditions; NaN for one culture each."""
    means = table.groupby(["condition", "culture"], observed=True)["y"].mean()
    of = means.groupby("condition", observed=True)
    df = len(means) - of.ngroups
    return float(np.sqrt(((means - of.transform("mean")) ** 2).sum() / df)) if df > 0 else np.nan


def _order(table: pd.DataFrame, control: str) -> tuple[pd.DataFrame, list[str]]:
    """Make the control the first of the conditions; return the table and the others in their order."""
    others = [condition for condition in table["condition"].unique() if condition != control]
    return table.assign(condition=pd.Categorical(table["condition"], [control, *others])), others


def _of_conditions(table: pd.DataFrame, measure: str, control: str) -> list[dict]:
    if control not in set(table["condition"]) or table["y"].nunique() < 2:
        return []
    table, others = _order(table, control)
    scaled, scale = _standardised(table)
    sd, days = _spread(table), " + day" if scaled["day"].nunique() > 1 else ""
    cells = scaled.groupby(["culture", "condition"], observed=True)[["y", "day"]].mean().reset_index()
    if is_within(table):  # culture:condition is random, too, where it was recorded repeatedly
        random = {"vc_formula": {"condition": "0 + C(condition)"}, "re_formula": "1"}
        own, plain = random if len(scaled) > len(cells) else {}, " + C(culture)"
        df = len(cells) - cells["culture"].nunique() - len(others)
    else:
        df, own, plain = len(cells) - len(others) - 1, {}, ""
    how, found = MIXED if df > 0 else NOT_TESTED, None
    if df > 0 and (is_within(table) or len(scaled) > len(cells)):  # else what cultures and recordings vary by is one
        found = _mixed(scaled, f"y ~ C(condition){days}", **own)
    if df > 0 and found is None:
        days, how = " + day" if np.ptp(cells["day"]) > 1e-9 else "", ON_CULTURES
        found, df = _least_squares(cells, f"y ~ C(condition){plain}{days}"), df - bool(days)
    if found is None:
        means = cells.groupby("condition", observed=True)["y"].mean()
        return [_row(measure, o, (means[o] - means[control]) * scale, np.nan, 0, sd, how) for o in others]
    names = {other: f"C(condition)[T.{other}]" for other in others}
    return [_row(measure, o, found[0][n] * scale, found[1][n] * scale, df, sd, how) for o, n in names.items()]


def _of_slopes(table: pd.DataFrame, measure: str, control: str) -> list[dict]:
    if control not in set(table["condition"]) or table["y"].nunique() < 2:
        return []
    table, others = _order(table, control)
    scaled, scale = _standardised(table)
    scale /= float((table["day"] - table["day"].mean()).std())
    several = scaled[scaled.groupby("culture")["day"].transform("nunique") > 1]
    per = {
        key: np.polyfit(own["day"], own["y"], 1)[0]
        for key, own in several.groupby(["culture", "condition"], observed=True)
    }
    slopes = pd.DataFrame([(*key, slope) for key, slope in per.items()], columns=["culture", "condition", "y"])
    slopes = _order(slopes, control)[0]
    others = [other for other in others if other in set(slopes["condition"])]
    df = len(slopes) - len(others) - 1
    if df <= 0 or control not in set(slopes["condition"]):
        return []
    sd = _spread(slopes) * scale
    found = _mixed(scaled, "y ~ C(condition) * day", re_formula="~day")
    names = {control: "day"} | {other: f"C(condition)[T.{other}]:day" for other in others}
    how = MIXED
    if found is None:
        found, how = _least_squares(slopes, "y ~ C(condition)"), ON_CULTURES
        names = {control: "Intercept"} | {other: f"C(condition)[T.{other}]" for other in others}
    return [_row(measure, o, found[0][n] * scale, found[1][n] * scale, df, sd, how) for o, n in names.items()]
