"""The file of a study says what was recorded, and what it cannot mean is refused in one sentence."""

import json

import pytest
import yaml

from meagan_lib import InputError
from meagan_lib.studies.design import read_study

ROWS = [
    {"recording": "a14.csv", "culture": "A", "day": 14, "condition": "control"},
    {"recording": "a21.csv", "culture": "A", "day": 21, "condition": "control"},
    {"recording": "simulated", "culture": "B", "day": 14, "condition": "lesioned", "seed": 3},
]


def study(tmp_path, rows=ROWS, **options):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"recordings": rows} | options, sort_keys=False))
    return read_study(path)


def test_recordings_have_factors_paths_from_the_file_and_folders_that_more_recordings_do_not_change(tmp_path):
    few, more = study(tmp_path, ROWS[1:]), study(tmp_path, ROWS)
    assert few.table["label"].tolist() == ["A_control_day21", "B_lesioned_day14"] == more.table["label"].tolist()[1:]
    assert more.entries[0].recording == str(tmp_path / "a14.csv") and more.entries[0].holds_spikes
    assert more.entries[2].recording == "simulated" and dict(more.entries[2].options) == {"seed": 3}
    assert (more.control, more.preset, more.seeds) == ("control", "quick", (0,))


def test_a_csv_does_as_well(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text(
        "recording;culture;day;condition;replicate;seed\na14.csv;A;14;control;;\na21.csv;A;21;control;;\n"
        "simulated;B;14;lesioned;1;3\n"
    )
    assert read_study(path, models="none", seeds="0,2") == study(tmp_path, models=[], seeds=[0, 2])
    fractions = "[0.5, 0.2, 0.3]"
    path.write_text(f"recording;culture;day;condition;split_fractions\n~no_such_user/a.brw;A;14;control;{fractions}\n")
    (entry,) = read_study(path).entries
    assert dict(entry.options) == {"split_fractions": [0.5, 0.2, 0.3]} and entry.recording.endswith("_user/a.brw")


def test_every_culture_may_have_all_conditions_and_a_number_may_name_one(tmp_path):
    rows = [ROWS[0] | {"recording": f"{c}{k}.csv", "culture": c, "condition": k} for c in (1, 2) for k in ("a", "b")]
    assert study(tmp_path, rows).table["culture"].tolist() == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    "rows, options, sentence",
    [
        ([], {}, "names no recording"),
        ([{"recording": "a.csv", "culture": "A", "day": 14}], {}, "recording 1: condition is missing"),
        ([ROWS[0] | {"day": "two weeks"}], {}, "the day 'two weeks' is no number"),
        ([ROWS[0] | {"day": True}], {}, "the day 'True' is no number"),
        ([ROWS[0] | {"replicate": "b"}], {}, "the replicate 'b' is no whole number"),
        ([ROWS[0] | {"sed": 1}], {}, "there is no 'sed': did you mean 'seed'?"),
        ([ROWS[0] | {"duration_s": "long"}], {}, "duration_s is a number"),
        ([ROWS[0], ROWS[0] | {"recording": "b.csv"}], {}, "2 recordings are A control day14"),
        ([ROWS[0], ROWS[0] | {"day": 15}], {}, "stands there 2 times: leave one of them out"),
        (
            [*ROWS, ROWS[0] | {"recording": "c.csv", "condition": "lesioned"}],
            {},
            "culture A is in the conditions control, lesioned, and culture B in lesioned alone",
        ),
        (ROWS, {"control": "contrl"}, "the control 'contrl' is not known: did you mean 'control'?"),
        (ROWS, {"pathological": "control"}, "both control and pathological"),
        (ROWS, {"models": ["gausian"]}, "the model 'gausian' is not known: did you mean 'gaussian'?"),
        (ROWS, {"modles": []}, "no parameter 'modles': did you mean 'models'?"),
        (ROWS, {"seeds": []}, "has no seeds"),
        (ROWS, {"seeds": [1, 1]}, "1 stands twice in seeds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_study_cannot_mean_is_refused(tmp_path, rows, options, sentence):
    with pytest.raises(InputError) as refused:
        study(tmp_path, rows, **options)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("study.yaml", "", "study.yaml is empty"),
        ("study.yaml", "recordings: [", "is not YAML"),
        ("study.yaml", json.dumps({"recordings": "a.brw"}), "has no list of recordings"),
        ("study.csv", "", "is empty or not in UTF-8"),
        ("study.csv", "recording,culture,day,condition\na.csv,A,14,c,more\n", "more values than headers in line 2"),
        ("study.yaml", 'recordings: [{recording: "a\\0", culture: A, day: 3, condition: c}]', "recording is no name"),
        ("study.csv", "recording,culture,day\na.csv,A,14\n", "condition is missing"),
        ("study.csv", "recording,culture,day,condition\na.csv,A,14\n", "recording 1: condition is missing"),
        ("study.csv", "recording,culture,day,condition\na.csv,A,2024-02-30,c\n", "study.csv: day is not YAML"),
        ("gone.yaml", None, "there is no study"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_study(tmp_path / name)
