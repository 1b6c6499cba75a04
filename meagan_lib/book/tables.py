"""Tables of scores in the book."""

from collections.abc import Mapping

import pandas as pd

from meagan_lib.sources import LABELS

ARROWS = {"lower": "↓", "higher": "↑", "near the floor": "→"}
"""Which way a score is better."""


def heading(metric: str) -> str:
    """Return the label of a metric with an arrow for what is better."""
    from meagan_lib.evaluation.metrics import ALL  # with torch and scikit-learn, which labels of models do without

    known = ALL.get(metric)
    return f"{known.label} {ARROWS[known.better]}" if known else metric.replace("_", " ")


def label(model: str) -> str:
    """Return what a model is called."""
    return LABELS.get(model, model.replace("_", " "))


def by_model(found: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return the floor and the value of every score, a row for each model."""
    values = {label(model): {metric: score["value"] for metric, score in of.items()} for model, of in found.items()}
    floor = {metric: score["floor"] for by_metric in found.values() for metric, score in by_metric.items()}
    frame = pd.DataFrame.from_dict({"floor": floor} | values, orient="index", dtype=float)
    return frame.rename(columns=heading).rename_axis("model").reset_index()


def every_score(found: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return all that is known of every score: value, interval, floor, reach, ratio, number of seeds."""
    rows = []
    for model, by_metric in found.items():
        for metric, score in by_metric.items():
            interval = "{:.3f} to {:.3f}".format(*score["interval"])
            known = {"value": score["value"], "95 % interval": interval, "floor": score["floor"]}
            known |= {"reach": score["reach"], "value / reach": score["ratio"]}
            rows.append({"model": label(model), "score": heading(metric)} | known | {"seeds": len(score["seeds"])})
    return pd.DataFrame(rows)


def html(frame: pd.DataFrame) -> str:
    """Return a table as HTML in Markdown: sortable, three decimals, a dash where there is nothing."""
    shown = frame.to_html(
        classes="sortable", index=False, border=0, justify="unset", na_rep="–", float_format="{:.3f}".format
    )
    return f'```{{raw}} html\n<div class="table-wrapper" tabindex="0">{shown}</div>\n```\n'
