// The playground: GANs that train before the reader's eyes, each in a worker of its own.
//
// playground-data.js holds as text the library that differentiates, the engine, and windows of the run;
// playground-words.js the words, playground-views.js the pictures. A situation is what the address says:
// settings at the start, and what was changed at which step.

const data = window.meaganPlayground;
const spikes = data.spikes && unpacked(data.spikes);
const root = document.getElementById("playground");
const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

const GAMES = {
  densities: ["one", "two", "far"],
  points: ["ring", "grid", "moons", "drawn"],
  ...(spikes ? { spikes: ["spikes"] } : {}),
};
const OPTIONS = {
  loss: ["minimax", "non_saturating", "wasserstein", "hinge", "least_squares", "relativistic"],
  penalty: ["none", "r1r2", "gradient"],
  strength: [0.1, 0.3, 1, 3, 10],
  d_rate: [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02],
  g_rate: [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02],
  k: [1, 2, 3, 5, 10],
  momentum: [0, 0.5, 0.9],
  batch: [16, 32, 64, 128],
};
const AT_START = ["game", "data", "batch", "seed"];  // what cannot change within a training
const COMMON = { loss: "non_saturating", penalty: "none", strength: 1, k: 1, momentum: 0.5, batch: 64, seed: 0 };
const DEFAULTS = {
  densities: { ...COMMON, data: "one", d_rate: 0.005, g_rate: 0.001, momentum: 0 },
  points: { ...COMMON, data: "ring", d_rate: 0.002, g_rate: 0.002 },
  spikes: { ...COMMON, data: "spikes", loss: "relativistic", penalty: "r1r2", d_rate: 0.002, g_rate: 0.002 },
};
const ILLNESSES = {
  collapse: [{ game: "points", d_rate: 0.001 }, { d_rate: 0.002 }],
  vanishing: [{ game: "densities", data: "far", loss: "minimax", d_rate: 0.01, k: 5, momentum: 0.5 }, { loss: "non_saturating" }],
  circling: [{ game: "densities", loss: "minimax", d_rate: 0.002, g_rate: 0.002, momentum: 0.9 }, { momentum: 0 }],
};
const SPEEDS = [1, 5, 25, 100, 1000];
const TRIALS = { seeds: 5, steps: 1000 };
const LEAST_DRAWN = 20;

function unpacked(packed) {
  const floats = (text) => Float32Array.from(new Int16Array(bytes(text).buffer), (v) => v / 1000);
  const flat = { ...packed };
  for (const name of ["train", "test", "synthetic"]) flat[name] = packed[name] && floats(packed[name]);
  return flat;
}

// ---- a game as the engine wants it ----

const range = (from, to, n) => Array.from({ length: n }, (_, i) => from + (to - from) * i / (n - 1));
const turned = (radius, angle) => [radius * Math.cos(angle), radius * Math.sin(angle)];
const PLANE = { n: 2, d: { sizes: [2, 64, 64, 1], activation: "leaky" }, g: { sizes: [8, 64, 64, 2], activation: "relu", prior: "normal" } };
const LINE = { n: 1, d: { sizes: [1, 32, 32, 1], activation: "tanh" }, g: { sizes: [1, 32, 32, 1], activation: "relu", prior: "uniform", skip: true } };
const square = (span, side = 33) => {
  const along = range(-span, span, side);
  return along.flatMap((y) => along.flatMap((x) => [x, y]));
};

function gameOf({ game, data: name, drawing = [] }) {
  const plane = (points, sd, span, centred) =>
    ({ ...PLANE, name: `points-${name}`, points, sd, span, surface: square(span), centres: centred ? points : null });
  const line = (points, sd, from, to) =>
    ({ ...LINE, name: `densities-${name}`, points, sd, centres: points, surface: range(from, to, 121) });
  switch (name) {
    case "one": return line([1.5], 0.5, -3, 4);
    case "two": return line([-0.8, 2.2], 0.4, -3, 4);
    case "far": return line([5], 0.3, -2, 7);
    case "ring": return plane(range(0, 7, 8).flatMap((i) => turned(2, i * Math.PI / 4)), 0.1, 3, true);
    case "grid": return plane(range(-2, 2, 5).flatMap((y) => range(-2, 2, 5).flatMap((x) => [x, y])), 0.08, 3, true);
    case "moons": {
      const upper = range(0, Math.PI, 100).flatMap((a) => [1.5 * Math.cos(a) - 0.75, 1.5 * Math.sin(a) - 0.4]);
      const lower = range(0, Math.PI, 100).flatMap((a) => [0.75 - 1.5 * Math.cos(a), 0.4 - 1.5 * Math.sin(a)]);
      return plane([...upper, ...lower], 0.1, 3, false);
    }
    case "drawn": return plane(drawing, 0.08, 3, false);
    default: return {
      name: game, n: spikes.n, points: Array.from(spikes.train), test: Array.from(spikes.test), sd: 0, centres: null,
      d: { sizes: [spikes.n, 64, 64, 1], activation: "leaky" },
      g: { sizes: [16, 64, 64, spikes.n], activation: "relu", prior: "normal" },
    };
  }
}

// ---- what the address says ----

const settingsOf = (state) => Object.fromEntries(
  ["loss", "penalty", "strength", "d_rate", "g_rate", "k", "momentum", "batch", "seed"].map((name) => [name, state[name]]));

function known(name, value) {
  if (name === "seed" || name === "step") return /^\d{1,6}$/.test(value) ? Number(value) : null;
  const options = OPTIONS[name] ?? [];
  const found = options.find((option) => String(option) === value);
  if (found !== undefined) return found;
  const [low, high] = [options[0], options.at(-1)];
  const between = typeof low === "number" && !["k", "batch"].includes(name) && value !== "" ? Number(value) : NaN;
  return between >= low && between <= high ? between : null;
}

// `#game=points&loss=hinge&step=400&then=200:d_rate:0.002` → one state for each game, and what was not understood.
function read(hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const strange = [];
  const one = (prefix, base) => {
    const of = (name) => asked.get(prefix + name);
    let game = of("game") ?? base?.game ?? "points";
    if (!GAMES[game]) { strange.push(["game", game]); game = "points"; }
    const state = { ...(base && base.game === game ? base : DEFAULTS[game]), game, step: base?.step ?? 0, events: [] };
    for (const name of ["data", ...Object.keys(OPTIONS), "seed", "step"]) {
      if (of(name) === null) continue;
      const value = name === "data" ? (GAMES[game].includes(of(name)) ? of(name) : null) : known(name, of(name));
      if (value === null) strange.push([name, of(name)]);
      else state[name] = value;
    }
    for (const each of (of("then") ?? "").split(",").filter(Boolean)) {
      const [at, name, value] = each.split(":");
      const good = name === "do" ? (["d", "g"].includes(value) ? value : null) : AT_START.includes(name) ? null : known(name, value);
      if (/^\d{1,6}$/.test(at) && good !== null) state.events.push([Number(at), name, good]);
      else strange.push(["then", each]);
    }
    if (state.data === "drawn") {
      const flat = (of("drawing") ?? "").split(".").filter(Boolean).map((v) => Number(v) / 100);
      if (flat.length >= 2 * LEAST_DRAWN && flat.length % 2 === 0 && flat.every((v) => Math.abs(v) <= 3)) state.drawing = flat;
      else { state.data = "ring"; strange.push(["drawing", of("drawing") ?? ""]); }
    }
    return state;
  };
  const first = one("", null);
  const states = [first];
  if ([...asked.keys()].some((name) => name.startsWith("twin."))) states.push(one("twin.", { ...first, events: [] }));
  return { states, strange };
}

function written(states) {
  const asked = new URLSearchParams();
  states.forEach((state, i) => {
    const prefix = i ? "twin." : "";
    const usual = i && states[0].game === state.game ? states[0] : DEFAULTS[state.game];
    for (const name of ["game", "data", ...Object.keys(OPTIONS), "seed", "step"]) {
      if (name === "game" || state[name] !== (usual[name] ?? 0)) asked.set(prefix + name, state[name]);
    }
    if (state.events.length) asked.set(`${prefix}then`, state.events.map((e) => e.join(":")).join(","));
    if (state.data === "drawn") asked.set(`${prefix}drawing`, state.drawing.map((v) => Math.round(100 * v)).join("."));
  });
  return `#${asked.toString().replaceAll("%3A", ":").replaceAll("%2C", ",")}`;
}

// ---- a worker ----

class Engine {
  constructor() {
    this.url = URL.createObjectURL(new Blob([data.library, "\n", data.engine], { type: "text/javascript" }));
    this.worker = new Worker(this.url);
    this.waiting = new Map();
    this.number = 0;
    this.worker.onmessage = ({ data: { id, answer, error, frame } }) => {
      if (frame) this.onframe?.(frame);
      const waits = this.waiting.get(id);
      if (!waits) return;
      this.waiting.delete(id);
      if (error) waits[1](new Error(error));
      else waits[0](answer);
    };
    this.worker.onerror = (event) => this.waiting.forEach(([, fail]) => fail(new Error(event.message)));
  }

  ask(what, rest = {}) {
    this.number += 1;
    const id = this.number;
    this.worker.postMessage({ id, ask: what, ...rest });
    return new Promise((done, fail) => this.waiting.set(id, [done, fail]));
  }

  tell(what) { this.worker.postMessage({ ask: what }); }

  end() {
    this.worker.terminate();
    URL.revokeObjectURL(this.url);
  }
}

// ---- one game on the page ----

class Side {
  constructor(state) {
    this.state = state;
    this.engine = new Engine();
    this.engine.onframe = (frame) => {
      this.take(frame);
      requestAnimationFrame(() => { this.draw(); this.engine.tell("drawn"); });
    };
    this.canvas = element("canvas", { role: "img" });
    this.curves = [0, 1, 2].map(() => element("canvas", { role: "img" }));
    this.heading = element("h2");
    this.summary = element("p", { class: "summary", role: "status", "aria-live": "polite" });
    this.settings = element("div", { class: "settings" });
    this.box = element("section", { class: "side" }, this.heading, this.canvas, this.summary,
      element("div", { class: "curves" }, ...this.curves), this.settings);
    this.slow = null;
  }

  // `state` is what the address says: settings at step 0 and what changed; `now` has those of this step.
  async start() {
    this.game = gameOf(this.state);
    this.losses = [];
    this.measures = [];
    const { events, step } = this.state;
    const frame = await this.engine.ask("start", { game: this.game, settings: settingsOf(this.state) });
    this.floor = frame.floor;
    this.real = frame.real;
    this.take(frame);
    for (const [at, name, value] of events) {
      if (at > step) break;
      await this.go(at);
      this.take(await this.engine.ask(...(name === "do" ? ["step", { who: value }] : ["settings", { settings: { [name]: value } }])));
    }
    if (step > this.frame.step) await this.go(step);
    this.choices();
    this.draw();
  }

  // In pieces, so that curves have points on the way.
  async go(step) {
    const pieces = Math.max(1, Math.min(40, Math.floor((step - this.frame.step) / 10)));
    const from = this.frame.step;
    for (let i = 1; i <= pieces; i++) {
      this.take(await this.engine.ask("go", { step: step > from ? from + Math.round((step - from) * i / pieces) : step }));
      this.draw();
      if (step <= from || this.frame.diverged) break;
    }
  }

  take(frame) {
    const measured = Boolean(frame.measures);
    if (!measured) frame.measures = this.frame.measures;
    this.frame = frame;
    if (frame.went) {
      this.losses = this.losses.filter(([at]) => at <= frame.step);
      this.measures = this.measures.filter(([at]) => at < frame.step);
      this.state.events = this.state.events.filter(([at]) => at <= frame.step);
    }
    this.now = { ...this.state, ...frame.settings };
    this.state.step = frame.step;
    for (const loss of frame.losses) if (loss[0] > (this.losses.at(-1)?.[0] ?? 0)) this.losses.push(loss);
    if (measured) this.measures.push([frame.step, frame.measures]);
    if (!Number.isFinite(frame.dLoss + frame.gLoss) && frame.step) frame.diverged = true;
    if (this.measures.length > 4000) this.measures = this.measures.filter((_, i) => i % 2 === 0);
    if (this.losses.length > 20000) this.losses = this.losses.filter((_, i) => i % 2 === 0);
  }

  change(name, value) { return board.queued(() => this.changed(name, value)); }

  async changed(name, value) {
    if (AT_START.includes(name)) {
      const base = name === "game" ? { ...DEFAULTS[value], game: value, seed: this.now.seed } : this.now;
      this.state = { ...base, [name]: value, step: 0, events: [] };
      board.cureButton.disabled = true;  // it belonged to the game that was
      await this.start();
    } else {
      if (this.frame.nD) this.state.events.push([this.frame.step, name, value]);
      else this.state[name] = value;
      this.take(await this.engine.ask("settings", { settings: { [name]: value } }));
      this.choices();
      this.draw();
    }
    board.changed();
  }

  async step(who) {
    const frame = await this.engine.ask("step", { who });
    if (who !== "both") this.state.events.push([frame.step, "do", who]);
    this.take(frame);
    this.draw();
  }

  choices() {
    const state = this.now;
    const select = (name, options, words_of) => {
      const all = options.includes(state[name]) ? options : [...options, state[name]];
      const made = element("select", {}, ...all.map((option) => {
        const each = element("option", { value: option }, words_of(option));
        if (option === state[name]) each.setAttribute("selected", "");
        return each;
      }));
      made.name = name;
      made.addEventListener("change", () => this.change(name, all[made.selectedIndex]).catch(fail));
      return element("label", {}, words[name] ?? name, made);
    };
    const seed = element("input", { type: "number", name: "seed", min: 0, max: 999999, step: 1, value: state.seed });
    seed.addEventListener("change", () => {
      const value = known("seed", seed.value);
      if (value === null) seed.value = state.seed;
      else this.change("seed", value).catch(fail);
    });
    const numbers = (x) => String(x);
    const focused = this.settings.contains(document.activeElement) ? document.activeElement.name : null;
    this.settings.replaceChildren(
      select("game", Object.keys(GAMES), (x) => words.games[x]),
      select("data", GAMES[state.game].filter((x) => x !== "drawn" || state.data === "drawn"), (x) => words.datasets[x]),
      select("loss", OPTIONS.loss, (x) => words.losses[x]),
      select("penalty", OPTIONS.penalty, (x) => words.penalties[x]),
      select("strength", OPTIONS.strength, numbers), select("d_rate", OPTIONS.d_rate, numbers),
      select("g_rate", OPTIONS.g_rate, numbers), select("k", OPTIONS.k, numbers),
      select("momentum", OPTIONS.momentum, numbers), select("batch", OPTIONS.batch, numbers),
      element("label", {}, words.seed, seed),
    );
    if (focused) this.settings.querySelector(`[name="${focused}"]`)?.focus();
  }

  told() {
    const { step, dLoss, gLoss, measures } = this.frame;
    if (this.frame.diverged) return filled(words.diverged, step);
    const { floor, game } = this;
    const found = game.centres
      ? filled(words.summaryModes, measures.covered, game.centres.length / game.n, measures.quality.toFixed(2))
      : filled(words.summaryShare, ...[measures.coverage, measures.quality, floor.coverage, floor.quality].map((x) => x.toFixed(2)));
    const loss = (x) => (Number.isFinite(x) ? number(x) : "–");
    return filled(words.summary, step, loss(dLoss), loss(gLoss), found, number(measures.w1), number(floor.w1));
  }

  draw() {
    const { frame, game, canvas, curves } = this;
    const { layers } = board;
    const lit = this.slow?.lit ?? null;
    if (game.n === 1) drawDensities(canvas, game, frame, layers, lit);
    else if (game.n === 2) drawPoints(canvas, game, frame, layers, lit, this.real);
    else drawSpikes(canvas, game, frame, layers, lit, this.real, spikes);
    drawCurves(curves[0], [
      [`${words.losses_curve}: ${words.of_d}`, COLOUR.d, this.losses.map(([s, d]) => [s, d])],
      [words.of_g, COLOUR.generated, this.losses.map(([s, , g]) => [s, g]), "dash"],
    ], []);
    const modes = game.centres ? game.centres.length / game.n : 1;
    const covered = (m) => (game.centres ? m.covered / modes : m.coverage);
    drawCurves(curves[1], [
      [words.coverage, COLOUR.other, this.measures.map(([s, m]) => [s, covered(m)])],
      [words.quality, COLOUR.generated, this.measures.map(([s, m]) => [s, m.quality]), "dash"],
    ], [this.floor.quality], [0, Math.max(1, this.floor.quality)]);
    drawCurves(curves[2], [[words.w1, COLOUR.real, this.measures.map(([s, m]) => [s, m.w1])]], [this.floor.w1]);
    this.summary.textContent = this.told();
    board.clock();
    const name = `${words.games[this.state.game]}, ${words.datasets[this.state.data]}`;
    canvas.setAttribute("aria-label", filled(words.picture, name, this.told()));
    const said = [
      `${words.losses_curve}: ${words.of_d} ${number(frame.dLoss || 0)}, ${words.of_g} ${number(frame.gLoss || 0)}`,
      `${words.coverage} ${number(covered(frame.measures))}, ${words.quality} ${number(frame.measures.quality)}`,
      `${words.w1} ${number(frame.measures.w1)}`,
    ];
    curves.forEach((each, i) => each.setAttribute("aria-label", said[i]));
    board.judge(this);
  }
}

// ---- losses as one reads them: what each player makes small ----

const FORMULAS = {
  minimax: ["−E log D(x) − E log(1 − D(G(z)))", "E log(1 − D(G(z)))"],
  non_saturating: ["−E log D(x) − E log(1 − D(G(z)))", "−E log D(G(z))"],
  wasserstein: ["E D(G(z)) − E D(x)", "−E D(G(z))"],
  hinge: ["E max(0, 1 − D(x)) + E max(0, 1 + D(G(z)))", "−E D(G(z))"],
  least_squares: ["½ E (D(x) − 1)² + ½ E D(G(z))²", "½ E (D(G(z)) − 1)²"],
  relativistic: ["E log(1 + exp(D(G(z)) − D(x)))", "E log(1 + exp(D(x) − D(G(z))))"],
};

// The formula with the part lit that the phase is about.
function formula(loss, who, phase) {
  const [side, weights] = who === "d" ? [0, "θ<sub>D</sub>"] : [1, "θ<sub>G</sub>"];
  const body = FORMULAS[loss][side];
  const marks = { 0: /G\(z\)|(?<=\()x(?=\))/g, 1: /D\((?:G\(z\)|x)\)/g }[phase];
  const lit = marks ? body.replace(marks, "<mark>$&</mark>") : body;
  const gradient = phase === 2 ? "<mark>∇</mark>" : "∇";
  const update = `${weights} ← ${weights} − α ${gradient} L`;
  return `L = ${lit} <span>${phase === 3 ? `<mark>${update}</mark>` : update}</span>`;
}

// ---- the whole page ----

const fail = (error) => board.say(filled(words.failed, error.message));

const board = {
  sides: [],
  doing: Promise.resolve(),
  playing: false,
  speed: 25,
  layers: { d: true, best: true, arrows: true, real: true, generated: true, transformer: true },
  illness: null,
  collapsed: null,
  solved: new Set(),

  build() {
    const at = (name, ...children) => element("div", { class: name }, ...children);
    this.playButton = button(words.play, () => (this.playing ? this.pause() : this.play()));
    this.playButton.classList.add("primary");
    this.slowButton = button(words.slow, () => this.slowly());
    this.slowButton.setAttribute("aria-pressed", "false");
    this.time = element("input", { type: "range", min: 0, max: 100, value: 0, name: "time" });
    this.timeValue = element("output");
    this.time.addEventListener("input", () => { this.held = true; this.timeValue.value = this.time.value; });
    this.time.addEventListener("change", () => { this.held = false; this.go(Number(this.time.value)).catch(fail); });
    const speed = element("select", { name: "speed" }, ...SPEEDS.map((s) => element("option", { value: s }, s === 1000 ? words.fastest : s)));
    speed.value = this.speed;
    speed.addEventListener("change", () => {
      this.speed = Number(speed.value);
      if (this.playing) this.run(this.speed);
    });
    const each = (who) => () => this.all(async (side) => side.step(who)).catch(fail);
    this.transport = at("transport", this.playButton, button(words.stepD, each("d")), button(words.stepG, each("g")),
      button(words.stepBoth, each("both")), this.slowButton, button(words.restart, () => this.restart().catch(fail)),
      element("label", {}, words.speed, speed), element("label", { class: "time" }, words.time, this.time, this.timeValue));
    this.phase = element("ol", { class: "phases", hidden: "" });
    this.formula = element("p", { class: "formula", hidden: "" });
    this.nextButton = button(words.next, () => this.slow?.next());
    this.nextButton.hidden = true;
    const layers = Object.entries({ ...words.layers, transformer: words.transformer }).map(([name, its]) => {
      const box = element("input", { type: "checkbox", name: `layer-${name}` });
      box.checked = true;
      box.addEventListener("change", () => { this.layers[name] = box.checked; this.redraw(); });
      return element("label", { "data-layer": name }, box, its);
    });
    this.layerLabels = layers;
    this.twinButton = button(words.twin, () => this.toggleTwin().catch(fail));
    this.cureButton = button(words.cure, () => this.cure().catch(fail));
    this.cureButton.disabled = true;
    const provoke = Object.keys(ILLNESSES).map((name) => button(words.illnesses[name], () => this.provoke(name).catch(fail)));
    const group = (name, ...children) => element("fieldset", {}, element("legend", {}, name), ...children);
    this.trialButton = button(words.trials, () => (this.trial ? this.stopTrials() : this.trials().catch(fail)));
    this.thumbs = at("thumbs");
    this.message = element("p", { class: "message", role: "status", "aria-live": "polite" });
    this.missions = element("ol", { class: "missions" });
    this.room = at("sides");
    this.pen = this.drawing();
    root.replaceChildren(this.transport, this.phase, this.formula, this.nextButton, this.message, this.room,
      group(words.show, ...layers), group(words.provoke, ...provoke, this.cureButton),
      group(words.players, this.twinButton, button(words.link, () => this.share()), this.trialButton),
      this.thumbs, this.pen, element("h2", {}, words.missions), this.missions);
    this.listMissions();
  },

  say(words) { this.message.textContent = words; },

  // One thing after the other, whatever is pressed meanwhile.
  queued(act) {
    this.doing = this.doing.catch(() => {}).then(act);
    return this.doing;
  },

  open(hash) {
    this.pause();
    return this.queued(() => this.opened(hash));
  },

  async opened(hash) {
    const { states, strange } = read(hash);
    this.sides.forEach((side) => side.engine.end());
    this.sides = states.map((state) => new Side(state));
    this.arrange();
    await Promise.all(this.sides.map((side) => side.start()));
    this.changed();
    this.say(strange.map(([name, value]) => filled(words.unknown, name, value)).join(" "));
  },

  arrange() {
    this.room.replaceChildren(...this.sides.map((side) => side.box));
    this.room.classList.toggle("two", this.sides.length === 2);
    this.sides.forEach((side, i) => {
      side.heading.textContent = this.sides.length === 2 ? [words.first, words.second][i] : "";
      side.heading.hidden = this.sides.length === 1;
      side.box.setAttribute("aria-label", [words.first, words.second][i]);
    });
    this.twinButton.textContent = this.sides.length === 2 ? words.noTwin : words.twin;
  },

  all(act) {
    this.pause();
    return this.queued(async () => {
      await Promise.all(this.sides.map(act));
      this.changed();
    });
  },

  play() {
    this.slow?.end();
    this.playing = true;
    this.playButton.textContent = words.pause;
    this.run(this.speed);
  },

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.playButton.textContent = words.play;
    this.run(0);
    this.changed();
  },

  // A screen reader hears what a game has come to when it rests, not thirty times a second.
  run(speed) {
    this.sides.forEach((side) => side.summary.setAttribute("aria-live", speed ? "off" : "polite"));
    this.sides.forEach((side) => side.engine.ask("run", { speed }).then((frame) => { side.take(frame); side.draw(); this.clock(); }).catch(fail));
  },

  restart() {
    return this.all(async (side) => {
      side.state = { ...side.now, step: 0, events: [] };
      await side.start();
    });
  },

  go(step) {
    return this.all(async (side) => {
      await side.go(step);
      side.choices();
      side.draw();
    });
  },

  changed() {
    const games = this.sides.map((side) => side.state.game);
    const only = { best: "densities", transformer: "spikes" };
    for (const label of this.layerLabels) {
      const { layer } = label.dataset;
      label.hidden = Boolean(only[layer]) && !games.includes(only[layer]);
    }
    this.clock();
  },

  // The slider goes with the games, but not from under the hand that moves it.
  clock() {
    if (this.held) return;
    const step = Math.max(0, ...this.sides.map((side) => side.frame?.step ?? 0));
    this.time.max = Math.max(100, step, Number(this.time.max));
    this.time.value = step;
    this.timeValue.value = step;
  },

  redraw() { this.sides.forEach((side) => side.frame && side.draw()); },

  toggleTwin() {
    this.pause();
    return this.queued(() => this.twin());
  },

  async twin() {
    if (this.sides.length === 2) this.sides.pop().engine.end();
    else {
      const { state } = this.sides[0];
      this.sides.push(new Side({ ...state, events: state.events.map((e) => [...e]) }));
    }
    this.arrange();
    this.redraw();
    if (this.sides.length === 2) await this.sides[1].start();
  },

  address() { return written(this.sides.map((side) => side.state)); },

  share() {
    history.replaceState(null, "", this.address());
    this.say(words.linkHere);
    navigator.clipboard?.writeText(location.href).then(() => this.say(words.linked), () => {});
  },

  async provoke(name) {
    this.pause();
    await this.queued(() => this.ill(name));
    this.play();
  },

  async ill(name) {
    this.illness = name;
    const { game, ...given } = ILLNESSES[name][0];
    while (this.sides.length > 1) this.sides.pop().engine.end();
    this.arrange();
    const [side] = this.sides;
    side.state = { ...DEFAULTS[game], game, seed: side.state.seed, step: 0, events: [], ...given };
    await side.start();
    this.cureButton.disabled = false;
    this.say("");
    this.changed();
  },

  async cure() {
    for (const [name, value] of Object.entries(ILLNESSES[this.illness][1])) await this.sides[0].change(name, value);
    this.say(words.cures[this.illness]);
    this.cureButton.disabled = true;
    if (!this.playing) this.play();
  },

  // ---- slow motion: samples → judgement → gradient → update, of D and then of G ----

  slowly() {
    if (this.slow) { this.slow.end(); return; }
    this.pause();
    const slow = { turn: "d", lit: 0, timer: null };
    const show = () => {
      this.sides.forEach((side) => { side.slow = slow; side.draw(); });
      const { loss } = this.sides[0].now;
      this.phase.replaceChildren(...words.phases.map((its, i) => {
        const item = element("li", {}, its);
        if (i === slow.lit) item.setAttribute("aria-current", "step");
        return item;
      }));
      this.formula.innerHTML = `<b>${words.turn[slow.turn]}:</b> ${formula(loss, slow.turn, slow.lit)}`;
      clearTimeout(slow.timer);
      if (!still) slow.timer = setTimeout(slow.next, 1800);
    };
    slow.next = async () => {
      clearTimeout(slow.timer);
      slow.lit += 1;
      if (slow.lit === 3) await Promise.all(this.sides.map((side) => side.step(slow.turn))).catch(fail);
      if (slow.lit === 4) Object.assign(slow, { lit: 0, turn: slow.turn === "d" ? "g" : "d" });
      if (this.slow === slow) show();
    };
    slow.end = () => {
      clearTimeout(slow.timer);
      this.slow = null;
      this.sides.forEach((side) => { side.slow = null; });
      [this.phase, this.formula, this.nextButton].forEach((each) => { each.hidden = true; });
      this.slowButton.setAttribute("aria-pressed", "false");
      this.redraw();
    };
    this.slow = slow;
    [this.phase, this.formula, this.nextButton].forEach((each) => { each.hidden = false; });
    this.slowButton.setAttribute("aria-pressed", "true");
    show();
  },

  // ---- five seeds of one setting ----

  async trials() {
    this.pause();
    const trial = { engine: new Engine(), stopped: false };
    this.trial = trial;
    this.trialButton.textContent = words.trialsStop;
    const side = this.sides[0];
    const [game, found] = [side.game, []];
    this.thumbs.replaceChildren();
    try {
      for (let i = 0; i < TRIALS.seeds && !trial.stopped; i++) {
        const seed = side.now.seed + i;
        let frame = await trial.engine.ask("start", { game, settings: { ...settingsOf(side.now), seed } });
        const { real } = frame;
        for (let step = 50; step <= TRIALS.steps && !trial.stopped; step += 50) {
          frame = await trial.engine.ask("go", { step });
          this.say(filled(words.trialsRunning, seed, step, TRIALS.steps));
        }
        if (trial.stopped) break;
        found.push(frame.measures);
        const canvas = element("canvas", { role: "img" });
        const told = game.centres ? `${frame.measures.covered}/${game.centres.length / game.n}` : frame.measures.coverage.toFixed(2);
        canvas.setAttribute("aria-label", `${words.seed} ${seed}: ${told}`);
        this.thumbs.append(element("figure", {}, canvas, element("figcaption", {}, `${words.seed} ${seed}: ${told}`)));
        const layers = { ...this.layers, d: false, arrows: false };
        if (game.n === 1) drawDensities(canvas, game, frame, layers, null);
        else if (game.n === 2) drawPoints(canvas, game, frame, layers, null, real);
        else drawSpikes(canvas, game, frame, layers, null, real, spikes);
      }
    } finally {
      trial.engine.end();
      this.trial = null;
      this.trialButton.textContent = words.trials;
    }
    if (trial.stopped) { this.say(""); return; }
    if (game.centres) {
      const modes = game.centres.length / game.n;
      const all = found.filter((m) => m.covered === modes).length;
      this.say(filled(words.trialsResult, all, found.length, modes, TRIALS.steps));
      if (all === TRIALS.seeds && side.now.loss === "non_saturating" && side.now.data === "ring") this.solve("five");
    } else this.say(filled(words.trialsResultOther, TRIALS.steps, found.map((m) => m.coverage.toFixed(2)).join(", ")));
  },

  stopTrials() { this.trial.stopped = true; },

  // ---- missions: the page sees when a goal is reached ----

  judge(side) {
    const { now: state, frame, floor } = side;
    const { measures, step } = frame;
    if (state.data === "ring") {
      if (step >= 300 && measures.covered <= 2) {
        this.solve("collapse");
        this.collapsed = settingsOf(state);
      }
      if (this.collapsed && measures.covered === 8 && measures.quality > 0.6) {
        const now = settingsOf(state);
        const changes = Object.keys(now).filter((name) => now[name] !== this.collapsed[name]);
        if (changes.length === 1 && changes[0] !== "seed") this.solve("cure");  // another seed is no cure
      }
    }
    if (state.game === "densities") {
      if (step >= 100 && measures.w1 < 3 * floor.w1) this.solve("near");
      const gradient = frame.arrows.reduce((s, v) => s + Math.abs(v), 0) / frame.arrows.length;
      if (step > 0 && gradient < 0.001 && measures.w1 > 1) this.solve("silent");
    }
  },

  solve(name) {
    if (this.solved.has(name)) return;
    this.solved.add(name);
    this.listMissions();
    this.say(`${words.mission[name]} ✓ ${words.done}`);
  },

  listMissions() {
    this.missions.replaceChildren(...Object.entries(words.mission).map(([name, its]) => {
      const solved = this.solved.has(name);
      const item = element("li", { "data-mission": name }, its, solved ? element("b", {}, ` ✓ ${words.done}`) : "");
      item.classList.toggle("solved", solved);
      return item;
    }));
  },

  // ---- one's own drawing ----

  drawing() {
    const canvas = element("canvas", { tabindex: 0, role: "application", "aria-label": words.draw });
    const count = element("output");
    const points = [];
    let pen = [0, 0];
    const SIDE = 260;
    const paint = () => {
      const [c] = prepared(canvas, SIDE);
      const place = (p) => [(p[0] + 3) * SIDE / 6, (3 - p[1]) * SIDE / 6];
      dots(c, points, place, COLOUR.real, 2);
      const [x, y] = place(pen);
      line(c, [x - 6, x + 6], [y, y], COLOUR.d);
      line(c, [x, x], [y - 6, y + 6], COLOUR.d);
      count.value = points.length / 2;
    };
    const add = () => { if (points.length < 800) points.push(...pen.map((v) => Math.round(100 * v) / 100)); paint(); };
    const from = (event) => {
      const box = canvas.getBoundingClientRect();
      pen = [6 * (event.clientX - box.left) / SIDE - 3, 3 - 6 * (event.clientY - box.top) / SIDE].map((v) => Math.max(-3, Math.min(3, v)));
      add();
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); from(event); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) from(event); });
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] }[event.key];
      if (!move && event.key !== " ") return;
      event.preventDefault();
      if (move) pen = pen.map((v, i) => Math.max(-3, Math.min(3, v + move[i])));
      if (event.key === " ") add();
      paint();
    });
    const train = button(words.drawn, () => {
      if (points.length < 2 * LEAST_DRAWN) { this.say(filled(words.few, LEAST_DRAWN, points.length / 2)); return; }
      this.pause();
      const [side] = this.sides;
      side.state = { ...DEFAULTS.points, game: "points", data: "drawn", drawing: [...points], seed: side.state.seed, step: 0, events: [] };
      this.queued(() => side.start()).then(() => this.changed()).catch(fail);
    });
    const clear = button(words.clear, () => { points.length = 0; paint(); });
    const box = element("details", { class: "drawing" }, element("summary", {}, words.datasets.drawn),
      element("p", {}, words.draw), canvas, element("div", { class: "transport" }, train, clear, count));
    box.addEventListener("toggle", () => { if (box.open) paint(); });
    return box;
  },
};

async function begin() {
  root.replaceChildren(element("p", {}, words.loading));
  try {
    board.build();
    await board.open(location.hash);
  } catch (error) {
    root.replaceChildren(element("p", {}, filled(words.failed, error.message)));
    throw error;
  }
  window.addEventListener("hashchange", () => board.open(location.hash).catch(fail));
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (root.clientWidth !== width) { width = root.clientWidth; board.redraw(); }
  }).observe(root);
}

window.playground = { board, gameOf, settingsOf, read, written };
begin();
