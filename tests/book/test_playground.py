"""The playground computes what the library computes, and a link is a situation that anybody can see again."""

import base64
import json
import re
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from scipy.stats import wasserstein_distance
from torch import nn

from meagan_lib import ROOT
from meagan_lib.book import playground
from meagan_lib.training.losses import LOSSES, gradient_penalty, squared_gradient_norm
from meagan_lib.windows.spike_windows import SpikeWindows
from tests.browser import CHROMIUM, browser
from tests.fixtures import spikes

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
SAMPLES = 32
SCRIPTS = ("playground-data", "runtime", "playground-words", "playground-views", "playground")
GAMES = {"one": "densities", "ring": "points", "spikes": "spikes"}


def windows() -> SpikeWindows:
    """Windows of two kinds of spikes: 280 to learn from, 110 to test."""
    values, split = 20 * spikes(400, SAMPLES), np.repeat([0, 1, 2], [280, 10, 110]).astype(np.uint8)
    frame = np.arange(400) * 1000
    return SpikeWindows(values, np.zeros(400, np.int32), frame, np.full(400, -1, np.int32), split, 20_000.0, 16, "uV")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the page alone, in English and in Italian, and windows for the game of spikes."""
    folder = tmp_path_factory.mktemp("playground")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playground, "RESULTS", folder)
        (folder / "run").mkdir()
        windows().save(folder / "run" / "windows.h5")
        playground.export("run", folder / "playground-data.js")
    for name in SCRIPTS[1:]:
        shutil.copyfile(playground.ENGINE.with_name(f"{name}.js"), folder / f"{name}.js")
    scripts = "".join(f'<script src="{name}.js" defer></script>' for name in SCRIPTS)
    for language in ("en", "it"):
        page = f'<!doctype html><html lang="{language}"><meta charset="utf-8"><main id="playground"></main>'
        (folder / f"{language}.html").write_text(page + scripts)
    return folder.as_uri()


@pytest.fixture(scope="module")
def page(site):
    with browser() as page:
        page.screen(800, 900)
        yield page


def opened(page, site, state="", language="en"):
    """Open a situation, wait until it is shown, and return its complaints."""
    page.open("about:blank")
    complaints = page.open(f"{site}/{language}.html#{state}")
    page.run("playground.board.doing.then(() => true)")
    return complaints


def frame(page, side=0):
    return json.loads(
        page.run(f"JSON.stringify(playground.board.sides[{side}].frame, (k, v) => v?.buffer ? [...v] : v)")
    )


def network(game: dict, rng: torch.Generator) -> nn.Sequential:
    activations = {"tanh": nn.Tanh, "relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.2)}
    layers, sizes = [], game["sizes"]
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers += [*([activations[game["activation"]]()] if i else []), nn.Linear(inputs, outputs)]
        for weights in layers[-1].parameters():
            weights.data = 0.5 * torch.randn(weights.shape, generator=rng)
    return nn.Sequential(*layers)


def flat(net: nn.Sequential, of=lambda weights: weights) -> list[list[float]]:
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    pairs = [(of(layer.weight).T, of(layer.bias)) for layer in linear]
    return [each.detach().ravel().tolist() for pair in pairs for each in pair]


@pytest.mark.parametrize("data", GAMES)
def test_losses_and_gradients_are_those_of_the_library(page, site, data):
    opened(page, site)
    game = json.loads(page.run(f"JSON.stringify(playground.gameOf({{game: '{GAMES[data]}', data: '{data}'}}))"))
    rng = torch.Generator().manual_seed(0)
    d, g = network(game["d"], rng), network(game["g"], rng)
    real, z = torch.randn(16, game["n"], generator=rng), torch.randn(16, game["g"]["sizes"][0], generator=rng)
    t = torch.rand(16, 1, generator=rng)
    fake = g(z) + z if game["g"].get("skip") else g(z)
    for loss, (of_d, of_g) in LOSSES.items():
        for penalty in ("none", "r1r2", "gradient"):
            xs = [x.detach().requires_grad_() for x in (real, fake)]
            logits = [d(x)[:, 0] for x in xs]
            value = of_d(*logits)
            pays = {"none": 0.0}
            pays["r1r2"] = 0.7 / 2 * sum(squared_gradient_norm(logit, x) for logit, x in zip(logits, xs))
            pays["gradient"] = 0.7 * gradient_penalty(d, real, fake.detach(), t)
            d.zero_grad()
            (value + pays[penalty]).backward()
            d_gradients = flat(d, lambda weights: weights.grad)
            of_generator = of_g(d(real)[:, 0], d(fake)[:, 0])
            g_gradients = torch.autograd.grad(of_generator, list(g.parameters()), retain_graph=True)
            g_gradients = [a.T.ravel().tolist() if a.ndim == 2 else a.tolist() for a in g_gradients]
            asked = {"game": {**game, "points": [], "surface": None}, "loss": loss, "penalty": penalty, "strength": 0.7}
            asked |= {"d": flat(d), "g": flat(g), "real": real.ravel().tolist(), "z": z.ravel().tolist()}
            asked |= {"t": t.ravel().tolist()}
            found = page.run(f"playground.board.sides[0].engine.ask('compare', {json.dumps(asked)})")
            assert found["d"] == pytest.approx(value.item(), abs=1e-5, rel=1e-5), (loss, penalty)
            assert found["g"] == pytest.approx(of_generator.item(), abs=1e-5, rel=1e-5), (loss, penalty)
            for mine, its in ((found["dGrads"], d_gradients), (found["gGrads"], g_gradients)):
                for a, b in zip(mine, its, strict=True):
                    scale = max(1.0, np.abs(b).max())
                    np.testing.assert_allclose(
                        np.array(a) / scale, np.array(b) / scale, atol=1e-5, err_msg=f"{loss} {penalty}"
                    )


def test_a_seed_gives_the_same_bits_again_also_after_going_back(page, site):
    state = "game=points&penalty=r1r2&seed=3&step=60"
    opened(page, site, state)
    first = frame(page)
    page.run("playground.board.go(20).then(() => playground.board.go(60))")
    again = frame(page)
    opened(page, site, state)
    once_more = frame(page)
    opened(page, site, state.replace("seed=3", "seed=4"))
    other = frame(page)
    assert first["step"] == again["step"] == 60
    assert first["points"] == again["points"] == once_more["points"] != other["points"]
    assert first["measures"] == once_more["measures"]


def test_a_link_shows_what_was_changed_when_and_both_games(page, site):
    opened(page, site, "game=densities&loss=minimax&step=30&twin.momentum=0.9")
    sides = "playground.board.sides"
    page.run(f"{sides}[0].change('d_rate', 0.01).then(() => {sides}[0].step('d')).then(() => playground.board.go(45))")
    expected = [frame(page, side)["points"] for side in (0, 1)]
    address = page.run("playground.board.address()")
    assert "then=30:d_rate:0.01,30:do:d" in address and "twin.momentum=0.9" in address
    opened(page, site, address[1:], "it")
    assert [frame(page, side)["points"] for side in (0, 1)] == expected
    assert page.run("document.querySelector('.transport button').textContent") == "Avvia"


def test_a_link_that_asks_for_what_is_not_there_says_so(page, site):
    opened(page, site, "game=points&loss=hingee&k=0&seed=-1&then=5:seed:3&drawing=1.2")
    told = page.run("document.querySelector('.message').textContent")
    for asked in ("loss = hingee", "k = 0", "seed = -1", "then = 5:seed:3"):
        assert asked in told
    assert frame(page)["settings"]["loss"] == "non_saturating"


def test_situations_that_lessons_hand_out_are_understood(page, site):
    opened(page, site)
    lessons = (ROOT / "notebooks" / "concepts").glob("*.ipynb")
    states = [state for path in lessons for state in re.findall(r"playground\.html#([^)\s]+)\)", path.read_text())]
    assert len(states) >= 5
    for state in states:
        assert page.run(f"playground.read({json.dumps(state)}).strange") == []


def test_measures_are_those_of_other_libraries(page, site):
    opened(page, site, "game=spikes&step=40")
    found, n = frame(page), SAMPLES
    points = np.array(found["points"]).reshape(-1, n)
    real = np.array(page.run("Array.from(playground.gameOf({game: 'spikes', data: 'spikes'}).test)")).reshape(-1, n)
    reference = compute_prdc(real, points, 5)
    assert found["measures"]["coverage"] == pytest.approx(reference["coverage"], abs=0.01)
    assert found["measures"]["quality"] == pytest.approx(reference["density"], abs=0.01)
    opened(page, site, "game=densities&step=40")
    found = frame(page)
    real = page.run("playground.board.sides[0].engine.ask('measured').then((real) => [...real])")
    assert np.mean(real) == pytest.approx(1.5, abs=0.1) and np.std(real) == pytest.approx(0.5, abs=0.1)
    assert found["measures"]["w1"] == pytest.approx(wasserstein_distance(found["points"], real), rel=1e-5)


def test_games_that_are_begun_anew_give_their_memory_back(page, site):
    opened(page, site, "game=densities&step=60")
    used = "playground.board.sides[0].engine.ask('memory')"
    before = page.run(used)
    for _ in range(6):
        page.run("playground.board.restart().then(() => playground.board.go(60))")
    assert page.run(used) <= 1.2 * before


ILLNESSES = {
    "vanishing": (40, "f.measures.w1 > 4 && Math.abs(f.arrows[0]) < 1e-3", 240, "f.measures.w1 < 1", "silent"),
    "collapse": (320, "f.measures.covered <= 2", 800, "f.measures.covered >= 5", "collapse"),
}


@pytest.mark.parametrize("illness", ILLNESSES)
def test_an_illness_is_provoked_and_seen_and_one_change_cures_it(page, site, illness):
    step, ill, later, well, mission = ILLNESSES[illness]
    opened(page, site)
    page.run(f"playground.board.provoke('{illness}').then(() => playground.board.go({step}))")
    assert page.run(f"(f => {ill})(playground.board.sides[0].frame)")
    assert page.run("[...playground.board.solved]") == [mission]
    page.run(f"playground.board.cure().then(() => playground.board.go({later}))")
    assert page.run(f"(f => {well})(playground.board.sides[0].frame)"), frame(page)["measures"]


def test_slow_motion_lights_the_part_that_acts_and_takes_one_step_of_each(page, site):
    page.screen(800, 900, still=True)
    opened(page, site, "game=densities")
    page.run("playground.board.slowly()")
    lit = []
    for _ in range(8):
        lit.append(page.run("document.querySelector('.phases [aria-current]').textContent"))
        page.run("playground.board.slow.next()")
    found = frame(page)
    assert lit == ["samples", "judgement of D", "gradient", "update"] * 2
    assert (found["nD"], found["nG"]) == (1, 1)
    page.screen(800, 900)


def test_the_slider_goes_with_a_game_that_plays_but_not_from_under_the_hand(page, site):
    opened(page, site, "game=densities")
    later = "const wait = () => playground.board.sides[0].frame.step > {} ? on() : setTimeout(wait, 20); wait();"
    shown = "[Number(playground.board.time.value), playground.board.sides[0].frame.step]"
    page.run(f"new Promise((on) => {{ playground.board.play(); {later.format(5)} }})")
    value, step = page.run(shown)
    assert 0 < value <= step
    page.run("playground.board.time.value = 2; playground.board.time.dispatchEvent(new Event('input'))")
    page.run(f"new Promise((on) => {{ {later.format(step + 5)} }})")
    assert page.run(shown)[0] == 2
    page.run("playground.board.held = false; playground.board.pause()")
    assert len(set(page.run(f"playground.board.queued(() => {shown})"))) == 1


def test_both_languages_have_the_same_words_and_nothing_is_asked_of_a_server(page, site):
    complaints = opened(page, site, language="it")
    paths = """(() => { const f = (o, p) => typeof o === 'object' ? Object.keys(o).flatMap((k) => f(o[k], p + '.' + k))
        : [p + (o.match(/\\{\\d\\}/g) ?? []).sort().join('')]; return [f(WORDS.en, ''), f(WORDS.it, '')]; })()"""
    english, italian = page.run(paths)
    assert english == italian
    assert complaints == [] and page.complaints() == []


def test_windows_go_along_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(playground, "RESULTS", tmp_path)
    assert playground.spikes("run") is None
    (tmp_path / "run").mkdir()
    kept = windows()
    kept.save(tmp_path / "run" / "windows.h5")
    content = playground.spikes("run")
    integers = np.frombuffer(base64.b64decode(content["train"]), "<i2").reshape(-1, content["n"])
    voltages = content["mean"] + content["scale"] * integers / playground.STEPS
    nearest = np.abs(kept.windows[None] - voltages[:5, None]).max(2).min(1)
    assert (nearest <= 0.51 * content["scale"] / playground.STEPS + 1e-3).all()
