"""Measure the playground in headless Chromium: steps and pictures a second, the cost of a step, memory.

``python bench/playground.py`` writes ``bench/PLAYGROUND.md``; it needs no run, and has no game of spikes without one:
``--run NAME`` takes the windows of a finished run.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from meagan_lib import ROOT
from meagan_lib.book import playground
from tests.browser import browser

SCRIPTS = ("playground-data", "runtime", "playground-words", "playground-views", "playground")
STATES = {
    "densities": "game=densities",
    "points": "game=points",
    "points, R1 and R2": "game=points&penalty=r1r2",
    "spikes": "game=spikes",
    "two games of points": "game=points&twin.d_rate=0.001",
}


def page_in(folder: Path, run: str) -> str:
    """Write the page alone, with windows of a run, and return its address."""
    playground.export(run, folder / "playground-data.js")
    for name in SCRIPTS[1:]:
        shutil.copyfile(playground.ENGINE.with_name(f"{name}.js"), folder / f"{name}.js")
    scripts = "".join(f'<script src="{name}.js" defer></script>' for name in SCRIPTS)
    (folder / "page.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><main id="playground"></main>{scripts}'
    )
    return (folder / "page.html").as_uri()


def measured(page, address: str, seconds: float = 8.0) -> list[str]:
    """Return a row: steps and pictures a second at 100 steps a second, ms of a step, MB after 200 and 1000 steps."""
    page.open("about:blank")
    complaints = page.open(address)
    page.run("playground.board.doing.then(() => true)")
    side = "playground.board.sides[0]"
    page.run(f"window.drawn = 0; const s = {side}, d = s.draw.bind(s); s.draw = () => {{ drawn++; d(); }}; 0")
    page.run("playground.board.speed = 100; playground.board.play()")
    time.sleep(2)
    here = f"[drawn, {side}.frame.step, performance.now()]"
    before = page.run(here)
    time.sleep(seconds)
    after = page.run(here)
    page.run("playground.board.pause()")
    pictures, steps, ms = (b - a for a, b in zip(before, after))
    page.run(f"{side}.engine.ask('go', {{ step: 200 }})")
    memory = [page.run(f"{side}.engine.ask('memory')") / 1e6]
    started = time.monotonic()
    page.run(f"{side}.engine.ask('go', {{ step: 1000 }})")
    cost = 1000 * (time.monotonic() - started) / 800
    memory.append(page.run(f"{side}.engine.ask('memory')") / 1e6)
    assert complaints == [] and page.complaints() == []
    rate = [1000 * each / ms for each in (steps, pictures)]
    return [f"{rate[0]:.0f}", f"{rate[1]:.0f}", f"{cost:.1f}", *(f"{each:.1f}" for each in memory)]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", default="quick")
    run = parser.parse_args().run
    head = (
        "| game | steps/s, 100 asked | pictures/s | ms a step | MB, 200 steps | MB, 1000 |\n|---|---|---|---|---|---|"
    )
    rows = [head]
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        page.screen(1100, 900)
        address = page_in(Path(folder), run)
        for name, state in STATES.items():
            if name == "spikes" and not playground.spikes(run):
                continue
            rows.append(f"| {name} | {' | '.join(measured(page, f'{address}#{state}'))} |")
            print(rows[-1])
        agent = page.run(
            "navigator.userAgent.match(/Chrome\\/[0-9]+/)[0] + ', ' + navigator.hardwareConcurrency + ' cores'"
        )
    told = (
        f"# The playground\n\nMade by `python bench/playground.py`, headless {agent}, {time.strftime('%Y-%m-%d')}.\n\n"
    )
    told += (
        "\n".join(rows) + "\n\nA picture is drawn at most as often as the browser asks for one. A step is one of D and "
    )
    told += "one of G, without pictures. MB are of all arrays, of which those to go back to are the larger part.\n"
    (ROOT / "bench" / "PLAYGROUND.md").write_text(told)


if __name__ == "__main__":
    main()
