"""The ``meagan`` command: wrong words are answered before anything starts."""

import sys

import pytest

from meagan_lib import cli
from tests.conftest import meagan


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["run", "smok"], "did you mean 'smoke'"),
        (["run", "smoke", "--recording", "nowhere.brw"], "neither a file nor a name"),
        (["run", "smoke", "--set", "01_preprocessing.guard=3"], "did you mean 'guard_ms'"),
        (["run", "smoke", "--name", "../x"], "cannot name a run"),
        (["run", "smoke", "--name", "my chip"], "cannot name a run"),
        (["verify", "no-such-run"], "no figures of a run"),
        (["status", "no-such-run"], "nothing of a run"),
    ],
)
def test_bad_input_gets_one_sentence_and_a_non_zero_exit(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["meagan", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1 and sentence in told and told.count("\n") == 1


def test_a_terminal_sees_the_sentence_alone():
    told = meagan("run", "smok")
    assert told.returncode == 1 and told.stdout == "" and told.stderr.startswith("meagan: no run 'smok'")
    assert told.stderr.count("\n") == 1
