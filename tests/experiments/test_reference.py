"""A run is held against its reference: the same bits, scores within their intervals, orders that hold."""

import copy
import hashlib
import json
import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meagan_lib import InputError, cli
from meagan_lib.experiments import reference
from meagan_lib.workflow import execution, figures
from meagan_lib.workflow.execution import receipts
from meagan_lib.workflow.files import write_json
from tests.fixtures import score

WHOLE = hashlib.sha256(b"whole").hexdigest()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run with two models, and the folder of its results."""
    for module in (reference, execution):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(figures, "folder", lambda name: tmp_path / "figures" / name)
    folder = tmp_path / "results" / "a"
    aucs = {"reach": 0.52, "gaussian": 0.75, "vae_gan": 0.6, "transformer_gan": 0.59}
    write_json(folder / "scores.json", {m: {"c2st_auc": score(v), "coverage": score(1 - v)} for m, v in aucs.items()})
    write_json(folder / "moment_matching.json", {"vae_gan": {"c2st_auc": score(0.55)}})
    (folder / "params").mkdir()
    (folder / "params" / "01.yaml").write_text("seed: 0\n")
    write_json(
        folder / "receipts" / "01.json",
        {"notebook": "01", "seconds": 1.0, "figures": [], "products": {"windows.h5": "aa", "config.json": "bb"}},
    )
    write_json(
        folder / "benchmark" / "vae" / "0" / "receipt.json",
        {"notebook": "vae", "seconds": 2.0, "figures": [], "products": {"benchmark/vae/0/synthetic.h5": "cc"}},
    )
    reference.keep("a")
    return folder


def test_a_fit_of_other_parameters_than_the_scores_is_told_and_keeps_a_run_from_being_kept(run, monkeypatch, capsys):
    monkeypatch.setattr(cli, "RESULTS", run.parent)
    write_json(run / "receipts" / "04_results_comparison.json", {"notebook": "04", "seconds": 1.0, "figures": []})
    given = run / "params" / "benchmark" / "vae.yaml"
    given.parent.mkdir()
    given.write_text("steps: 11\n")
    os.utime(given, (0, 0))
    reference.require_finished("a")
    cli.summary("a")
    assert "scores of before" not in capsys.readouterr().out
    os.utime(given, (2**31, 2**31))
    cli.summary("a")
    assert "these are scores of before: run 'a' has not ended with its parameters of vae" in capsys.readouterr().out
    with pytest.raises(InputError, match="has not ended with its parameters of vae: finish it"):
        reference.keep("a")


def test_a_file_that_is_missing_cut_or_replaced_is_named(run):
    with pytest.raises(InputError, match="windows.h5 is missing"):
        reference.require_products("a")
    (run / "windows.h5").write_text("whole")
    change(run / "receipts" / "01.json", lambda receipt: receipt["products"].update({"windows.h5": WHOLE}))
    change(run / "benchmark" / "vae" / "0" / "receipt.json", lambda receipt: receipt.update(products={}))
    reference.require_products("a")
    (run / "windows.h5").write_text("who")
    with pytest.raises(InputError, match="windows.h5 is not as it was written"):
        reference.require_products("a")


def held(folder) -> dict[str, bool | None]:
    return {finding.level: finding.holds for finding in reference.compare("a", reference.load("a"))}


def change(path, edit) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_scores_of_other_parameters_than_the_run_has_now_are_not_kept(run):
    params, receipt = run / "params" / "01.yaml", run / "receipts" / "01.json"
    for change in (lambda: os.utime(params, (2**31, 2**31)), receipt.unlink):
        change()
        with pytest.raises(InputError, match="run 'a' has not ended with its parameters of 01: finish it"):
            reference.keep("a")
        os.utime(params, (0, 0))
    receipt.write_text(json.dumps({"notebook": "01", "seconds": 1.0, "figures": [], "products": {}}))
    (run / "scores.json").unlink()
    with pytest.raises(InputError, match="no scores of a run 'a'"):
        reference.keep("a")


ABSURD = [
    {},
    {"reach": 3},
    {"reach": {"coverage": []}},
    {"vae_gan": {"coverage": score(0.5)}},
    {"reach": {"coverage": score(0.5) | {"interval": "0 to 1"}}},
    {"reach": {"coverage": score(0.5) | {"value": None}}},
    {"reach": {"coverage": {"value": 0.5}}},
]


@pytest.mark.parametrize("content", ABSURD, ids=str)
def test_json_that_is_no_scores_is_told_as_damaged_whoever_reads_it(run, content):
    kept = reference.load("a")
    write_json(reference.figures.folder("a") / "reference.json", kept | {"scores": content})
    with pytest.raises(InputError, match="reference.json is damaged"):
        reference.load("a")
    write_json(run / "scores.json", content)
    with pytest.raises(InputError, match="scores.json is damaged"):
        reference.compare("a", kept)


@pytest.mark.parametrize("part", ["fingerprint", "parameters", "digests", "moment_matching"])
def test_a_reference_without_one_of_its_parts_or_with_a_list_for_it_is_told_as_damaged(run, part):
    path = reference.figures.folder("a") / "reference.json"
    kept = reference.load("a")
    for content in (kept | {part: [1]}, {name: its for name, its in kept.items() if name != part}):
        write_json(path, content)
        with pytest.raises(InputError, match="reference.json is damaged"):
            reference.load("a")


def places(content: object, at: tuple = ()) -> list[tuple]:
    """All places of JSON, each the keys that lead there."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


OTHER = st.sampled_from([None, True, "x", [], {}, [1], {"a": 1}, -1, 10**400, float("nan"), float("inf"), "../../x"])


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_whatever_stands_at_a_place_of_a_file_of_a_run_ends_in_a_sentence(run, data):
    """A reference, scores and receipts, each of whose places holds anything else that JSON can hold, or nothing."""
    beside = reference.figures.folder("a") / "reference.json"
    path = data.draw(st.sampled_from([beside, *sorted(run.rglob("*.json"))]))
    kept, content = path.read_bytes(), json.loads(path.read_text())
    *before, last = data.draw(st.sampled_from(places(content)[1:]))
    within = content
    for key in before:
        within = within[key]
    if data.draw(st.booleans()):
        within[last] = data.draw(OTHER)
    else:
        del within[last]
    path.write_text(json.dumps(content))
    with suppress(InputError):
        reference.compare("a", reference.load("a"))
    with suppress(InputError):
        receipts(run)
    path.write_bytes(kept)


def test_the_same_run_holds_on_every_level(run):
    assert held(run) == {"bits": True, "scores": True, "statements": True}
    kept = reference.load("a")
    assert kept["digests"] == {"windows.h5": "aa", "benchmark/vae/0/synthetic.h5": "cc"}
    assert kept["moment_matching"]["vae_gan"]["c2st_auc"]["value"] == 0.55
    assert kept["seconds"] == {"01": 1.0, "vae": 2.0} and kept["parameters"] == {"01": {"seed": 0}}


def test_other_bits_are_named_and_not_compared_elsewhere(run):
    change(run / "receipts" / "01.json", lambda r: r["products"].update({"windows.h5": "zz"}))
    finding = reference.compare("a", reference.load("a"))[0]
    assert finding.holds is False and "windows.h5" in finding.sentence
    kept = reference.load("a")
    for what, value in (("fingerprint", {"cpu": "AVX2"}), ("parameters", {"01": {"seed": 1}})):
        finding = reference.compare("a", copy.deepcopy(kept) | {what: value})[0]
        assert finding.holds is None and "not compared" in finding.sentence


def test_one_score_may_differ_by_chance_and_many_may_not(run):
    change(run / "scores.json", lambda s: s["gaussian"].update({"c2st_auc": score(0.8)}))
    assert held(run) == {"bits": True, "scores": True, "statements": True}
    change(
        run / "scores.json",
        lambda s: [by.update({k: score(v["value"] + 0.1) for k, v in by.items()}) for by in s.values()],
    )
    assert held(run)["scores"] is False


def test_an_order_that_was_significant_must_not_turn(run):
    change(
        run / "scores.json", lambda s: s["transformer_gan"].update({"c2st_auc": score(0.61)})
    )  # was not significantly better
    assert held(run)["statements"] is True
    change(run / "scores.json", lambda s: s["gaussian"].update({"c2st_auc": score(0.58)}))
    (finding,) = [f for f in reference.compare("a", reference.load("a")) if f.level == "statements"]
    assert finding.holds is False and "vae_gan before gaussian on C2ST AUC" in finding.sentence


def test_a_model_that_is_missing_does_not_pass(run):
    change(run / "scores.json", lambda s: s.pop("gaussian"))
    assert held(run) == {"bits": True, "scores": False, "statements": False}


def test_a_run_without_scores_is_not_kept(run):
    (run / "scores.json").unlink()
    with pytest.raises(InputError, match="no scores of a run 'a'"):
        reference.keep("a")
