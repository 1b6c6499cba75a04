"""Figures in Italian: nothing stays English, numbers stay as they are, every caption is that of its figure today."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from meagan_lib import ROOT, InputError
from meagan_lib.book import translation
from meagan_lib.book.translation import Translator, in_lines
from meagan_lib.workflow.figures import registry
from tests.translated import texts_of, untranslated


def test_every_text_of_the_lessons_figures_has_a_translation():
    assert (
        texts_of((ROOT / "figures" / "concepts" / "c2_trained.svg").read_bytes()).count("alternating,\nslower G") == 1
    )
    assert not untranslated(ROOT / "figures" / "concepts")


def test_every_caption_has_a_translation_of_what_it_says_today():
    italian = Translator("it")
    for id in registry():
        italian.caption(id)
    assert not italian.missing, "translate in figures/translations.yaml"
    assert set(translation.table()["it"]["captions"]) == set(registry())


def test_a_caption_that_has_changed_is_asked_for_again(monkeypatch):
    changed = {id: entry.__class__(entry.chapter, entry.notebook, "new words") for id, entry in registry().items()}
    monkeypatch.setattr(translation, "registry", lambda: changed)
    italian = Translator("it")
    assert italian.caption("scores") == "new words" and italian.missing == {
        f"scores (of: {translation.digest('new words')}): new words"
    }


@given(st.integers(0, 10**6), st.floats(0, 1e3).map("{:.2f}".format), st.sampled_from("−-"))
def test_numbers_stay_as_they_are(whole, decimal, minus):
    italian = Translator("it")
    assert italian(f"electrode {whole}  (n = {whole})") == f"elettrodo {whole}  (n = {whole})"
    assert italian(f"weight (even: {minus}{decimal})") == f"peso (uniforme: {minus}{decimal})"
    assert not italian.missing


def test_lines_words_within_patterns_and_surrounding_room_are_kept():
    italian = Translator("it")
    assert italian("background\nor trace,\nas the mask says").count("\n") == 2
    assert italian("voltage (ADC steps)") == "tensione (passi ADC)"
    assert italian(" voltage (µV) ") == " tensione (µV) "
    assert italian("$z$ 0.5") == "$z$ 0.5" and not italian.missing
    assert italian("voltage (furlongs)") == "voltage (furlongs)" and italian.missing == {"voltage (furlongs)"}


@given(st.lists(st.sampled_from(["a", "word", "$x + y z$", "longer-word"]), min_size=1), st.integers(1, 5))
def test_breaking_into_lines_loses_nothing_and_keeps_formulas_whole(words, n):
    lines = in_lines(" ".join(words), n).split("\n")
    assert " ".join(lines) == " ".join(words) and len(lines) <= n
    assert all(line.count("$") % 2 == 0 for line in lines)


def test_everything_in_a_figure_is_translated_once():
    """Titles, axes, legends, annotations, and tick labels that are given, on categories, computed, or shared."""
    fig = Figure()
    (given_, shared), (category, computed) = fig.subplots(2, 2, sharey="row")
    given_.set_yticks([0, 1], ["real", "copy-paste"])
    shared.plot([0, 1], label="generated")
    shared.annotate("threshold", (0, 0))
    category.barh(["edge of recording", "clipped"], [1, 2])
    computed.xaxis.set_major_formatter(FuncFormatter(lambda x, pos: "electrode" if x > 0 else "step"))
    shared.set(xlabel="time (ms)", title="coverage")
    shared.legend(title="group 1")
    fig.suptitle("learning rate")
    fig.supylabel("voltage (µV)")
    italian = Translator("it")
    italian.figure(fig)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="svg")
    words = {text for text in texts_of(buffer.getvalue()) if translation.has_words(text)}
    assert words == {"reali", "copia e incolla", "generate", "soglia", "bordo della registrazione", "saturato"} | {
        "elettrodo",
        "passo",
        "tempo (ms)",
        "copertura",
        "gruppo 1",
        "tasso di\napprendimento",
        "tensione (µV)",
    }
    assert not italian.missing and np.isfinite(fig.get_size_inches()).all()


def test_a_language_that_the_table_lacks_is_refused():
    with pytest.raises(InputError, match="language 'fr' is not known; choose one of en, it"):
        Translator("fr")
