// The games of the playground, computed in a worker: networks, losses, Algorithm 1 of the thesis, honest measures.
//
// jax-js differentiates and compiles. Its functions take possession of the arrays that they are given: `x.ref` hands
// on another reference and keeps this one. Names and formulas are those of meagan_lib.training.losses; a test compares
// them. All random numbers come from the seed and a counter, so that a step can be played again with the same bits.

/* global jax */
const { numpy: np, nn, random, tree, grad, valueAndGrad, jit } = jax;

// Each dispatch would make an instance of its compiled module anew; all of them import the same memory.
const { Instance } = WebAssembly;
const instances = new WeakMap();
let memory = null;
WebAssembly.Instance = function (module, imports) {
  memory = imports.env.memory;
  if (!instances.has(module)) instances.set(module, new Instance(module, imports));
  return instances.get(module);
};

const EVALUATED = 512;  // generated points that are measured and drawn
const ARROWS = 64;  // of these, how many show their gradient
const SPAN = 96;  // steps kept to go back to, at most
const PAUSE = 400;  // milliseconds between two measurements while a game runs
const BETA2 = 0.99;

// ---- losses: the logits of real and of generated points, (batch,) → a number to be minimised ----

const LOSSES = {
  minimax: [(r, f) => mean(softplus(r.neg())).add(mean(softplus(f))), (r, f) => mean(softplus(f)).neg()],
  non_saturating: [(r, f) => mean(softplus(r.neg())).add(mean(softplus(f))), (r, f) => mean(softplus(f.neg()))],
  wasserstein: [(r, f) => mean(f).sub(mean(r)), (r, f) => mean(f).neg()],
  hinge: [(r, f) => mean(nn.relu(np.subtract(1, r))).add(mean(nn.relu(f.add(1)))), (r, f) => mean(f).neg()],
  least_squares: [
    (r, f) => mean(np.square(r.sub(1))).mul(0.5).add(mean(np.square(f)).mul(0.5)),
    (r, f) => mean(np.square(f.sub(1))).mul(0.5),
  ],
  relativistic: [(r, f) => mean(softplus(f.sub(r))), (r, f) => mean(softplus(r.sub(f)))],
};
const PAIRED = "relativistic";  // the one whose generator also looks at real points

const mean = (x) => x.mean();
// log(1 + eˣ), without overflow and with all its derivatives
const softplus = (x) => nn.relu(x.ref).add(np.log1p(np.exp(np.abs(x).neg())));

// ---- networks: layers of {w (inputs, outputs), b (outputs,)} ----

const ACTIVATIONS = { tanh: np.tanh, relu: nn.relu, leaky: (x) => nn.leakyRelu(x, 0.2) };

function network(layers, activation, x) {
  layers.forEach(({ w, b }, i) => {
    x = np.matmul(i ? ACTIVATIONS[activation](x) : x, w).add(b);
  });
  return x;
}

// First weights are normal with variance 2/(inputs + outputs), thresholds 0 (Glorot & Bengio 2010).
function firstWeights(sizes, seed) {
  return sizes.slice(1).map((outputs, i) => ({
    w: random.normal(key(seed, i), [sizes[i], outputs]).mul(Math.sqrt(2 / (sizes[i] + outputs))),
    b: np.zeros([outputs]),
  }));
}

const discriminate = (game, d, x) => network(d, game.d.activation, x).reshape([-1]);
const generate = (game, g, z) =>
  game.g.skip ? network(g, game.g.activation, z.ref).add(z) : network(g, game.g.activation, z);

// ---- random numbers: a seed for jax's generator from the seed of the game and a place in it ----

function mixed(...numbers) {
  let h = 0x9e3779b9;
  for (const n of numbers) {
    h = Math.imul(h ^ (n | 0), 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 1;
}
const key = (...numbers) => random.key(mixed(...numbers));

const noise = (game, key, n) =>
  game.g.prior === "uniform"
    ? random.uniform(key, [n, game.g.sizes[0]], { minval: -1, maxval: 1 })
    : random.normal(key, [n, game.g.sizes[0]]);

// Data are some of the points (m, dimensions), each with normal noise of standard deviation `sd`.
function draw(game, key, points, n) {
  const keys = random.split(key);
  const at = np.floor(random.uniform(keys.ref.slice(0), [n]).mul(game.m)).astype(np.int32);
  const x = np.take(points, at, 0);
  if (game.sd) return x.add(random.normal(keys.slice(1), [n, game.n]).mul(game.sd));
  keys.dispose();
  return x;
}

// ---- gradients of both players ----

// E ‖∇ₓ D(x)‖² of points (batch, dimensions): R1 on real ones, R2 on generated ones.
function squaredSlope(game, d, x) {
  const slope = grad((x) => discriminate(game, tree.ref(d), x).sum())(x);
  tree.dispose(d);
  return np.square(slope).sum(1).mean();
}

// E (‖∇ D(x̂)‖ − 1)² at x̂ = t x + (1 − t) G(z).
function gradientPenalty(game, d, real, fake, t) {
  const between = t.ref.mul(real).add(np.subtract(1, t).mul(fake));
  const slope = grad((x) => discriminate(game, tree.ref(d), x).sum())(between);
  tree.dispose(d);
  return np.square(np.sqrt(np.square(slope).sum(1)).sub(1)).mean();
}

const PENALTIES = {
  none: null,
  r1r2: (game, d, real, fake, t) => {
    t.dispose();
    return squaredSlope(game, tree.ref(d), real).add(squaredSlope(game, d, fake)).mul(0.5);
  },
  gradient: gradientPenalty,
};

// [loss without the penalty, gradients of the loss with it] of D.
function dGradients(game, loss, penalty, d, real, fake, t, strength) {
  const lossOf = (d, real, fake) =>
    LOSSES[loss][0](...[real, fake].map((x) => discriminate(game, tree.ref(d), x)));
  const objective = (d, real, fake, t, strength) => {
    const value = lossOf(d, real.ref, fake.ref);
    if (PENALTIES[penalty]) return value.add(strength.mul(PENALTIES[penalty](game, d, real, fake, t)));
    [d, real, fake, t, strength].forEach(tree.dispose);
    return value;
  };
  const [total, gradients] = valueAndGrad(objective)(tree.ref(d), real.ref, fake.ref, t, strength);
  if (PENALTIES[penalty]) {
    total.dispose();
    return [lossOf(d, real, fake), gradients];
  }
  [d, real, fake].forEach(tree.dispose);
  return [total, gradients];
}

// [loss, gradients] of G.
function gGradients(game, loss, g, d, real, z) {
  const objective = (g, d, real, z) => {
    const onFake = discriminate(game, tree.ref(d), generate(game, g, z));
    if (loss === PAIRED) return LOSSES[loss][1](discriminate(game, d, real), onFake);
    [d, real].forEach(tree.dispose);
    return LOSSES[loss][1](null, onFake);
  };
  return valueAndGrad(objective)(g, d, real, z);
}

// Adam (Kingma & Ba 2015): h = [rate, β₁, 1 / (1 − β₁ᵗ), 1 / (1 − β₂ᵗ)].
function adam(weights, { m, v }, gradients, h) {
  const [rate, beta1, unbias1, unbias2] = [0, 1, 2, 3].map((i) => h.ref.slice(i));
  h.dispose();
  const first = tree.map((m, g) => m.mul(beta1.ref).add(g.mul(np.subtract(1, beta1.ref))), m, tree.ref(gradients));
  const second = tree.map((v, g) => v.mul(BETA2).add(np.square(g).mul(1 - BETA2)), v, gradients);
  const after = tree.map(
    (w, m, v) => w.sub(rate.ref.mul(m.mul(unbias1.ref)).div(np.sqrt(v.mul(unbias2.ref)).add(1e-8))),
    weights, tree.ref(first), tree.ref(second),
  );
  [rate, beta1, unbias1, unbias2].forEach((x) => x.dispose());
  return [after, { m: first, v: second }];
}

// ---- one step of each player, compiled for a game, a loss, a penalty and a batch ----

const compiled = new Map();
function programs(game, { loss, penalty, batch }) {
  const name = [game.name, game.m, game.n, game.sd, loss, penalty, batch].join();
  if (!compiled.has(name)) {
    compiled.set(name, {
      // h = [rate, β₁, 1 / (1 − β₁ᵗ), 1 / (1 − β₂ᵗ), strength of the penalty]
      d: jit((d, opt, g, points, seed, h) => {
        const keys = random.split(random.key(seed), 3);
        const real = draw(game, keys.ref.slice(0), points, batch);
        const fake = generate(game, g, noise(game, keys.ref.slice(1), batch));
        const t = random.uniform(keys.slice(2), [batch, 1]);
        const [value, gradients] = dGradients(game, loss, penalty, tree.ref(d), real, fake, t, h.ref.slice(4));
        return [...adam(d, opt, gradients, h), value];
      }),
      g: jit((g, opt, d, points, seed, h) => {
        const keys = random.split(random.key(seed), 2);
        const real = draw(game, keys.ref.slice(0), points, batch);
        const z = noise(game, keys.slice(1), batch);
        const [value, gradients] = gGradients(game, loss, tree.ref(g), d, real, z);
        return [...adam(g, opt, gradients, h), value];
      }),
    });
  }
  return compiled.get(name);
}

function lookers(game, loss) {
  const name = [game.name, game.n, loss].join();
  if (!compiled.has(name)) {
    compiled.set(name, {
      generated: jit((g, z) => generate(game, g, z)),
      logits: jit((d, x) => discriminate(game, d, x)),
      // the way that lowers the loss of G fastest, at each generated point: −n ∂L/∂G(z)
      arrows: jit((d, x, real) => {
        const sum = (x, d, real) => {
          const onFake = discriminate(game, tree.ref(d), x);
          if (loss === PAIRED) return LOSSES[loss][1](discriminate(game, d, real), onFake);
          [d, real].forEach(tree.dispose);
          return LOSSES[loss][1](null, onFake);
        };
        return grad(sum)(x, d, real).mul(-ARROWS);
      }),
    });
  }
  return compiled.get(name);
}

// ---- measures, of flat arrays of points (EVALUATED, dimensions) ----

const rows = (flat, n) => Array.from({ length: flat.length / n }, (_, i) => flat.subarray(i * n, (i + 1) * n));
function squared(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// W₁ in one dimension: sort both and compare; in more, the mean over directions (sliced Wasserstein).
function wasserstein(a, b, directions) {
  const dot = (p, u) => {
    let sum = 0;
    for (let i = 0; i < u.length; i++) sum += p[i] * u[i];
    return sum;
  };
  const along = (points, u) => Float64Array.from(points, (p) => dot(p, u)).sort();
  const each = directions.map((u) => {
    const [x, y] = [along(a, u), along(b, u)];
    return x.reduce((sum, v, i) => sum + Math.abs(v - y[i]), 0) / x.length;
  });
  return each.reduce((s, x) => s + x, 0) / each.length;
}

// Of data around centres: how many have at least a tenth of the points that are theirs by right, and the fraction of
// points within three standard deviations of a centre.
function aroundCentres(points, centres, sd) {
  const count = new Array(centres.length).fill(0);
  for (const p of points) {
    const distances = centres.map((c) => squared(p, c));
    const nearest = distances.indexOf(Math.min(...distances));
    if (distances[nearest] < (3 * sd) ** 2) count[nearest] += 1;
  }
  const due = 0.1 * points.length / centres.length;
  return {
    covered: count.filter((n) => n >= due).length,
    quality: count.reduce((s, n) => s + n, 0) / points.length,
  };
}

// Density and coverage (Naeem et al. 2020) with k neighbours: coverage is the fraction of real points that have a
// generated one as near as their k-th real neighbour, density how many such real points a generated one has, over k.
function nearReal(points, real, reach, k) {
  let [covered, within] = [0, 0];
  real.forEach((r, i) => {
    const n = points.reduce((s, p) => s + (squared(p, r) < reach[i] ? 1 : 0), 0);
    covered += n > 0;
    within += n;
  });
  return { coverage: covered / real.length, quality: within / (k * points.length) };
}

function reachOf(real, k) {
  return real.map((r) => Float64Array.from(real, (other) => squared(r, other)).sort()[k]);
}

// ---- a game ----

class Play {
  // settings: loss, penalty, strength, d_rate, g_rate, k, momentum, batch, seed; the data: points (m × n), sd, centres
  constructor(game, settings) {
    this.game = { ...game, m: game.points.length / game.n };
    this.points = np.array(Float32Array.from(game.points)).reshape([this.game.m, game.n]);
    this.settings = settings;
    this.begin();
    const seed = 12345;  // what is measured does not change with the seed of the training
    const inOrder = Float32Array.from({ length: EVALUATED }, (_, i) => 2 * (i + 0.5) / EVALUATED - 1);
    this.z = game.g.prior === "uniform"
      ? np.array(inOrder).reshape([EVALUATED, 1]) : noise(this.game, key(seed, 1), EVALUATED);
    const test = game.test && np.array(Float32Array.from(game.test)).reshape([-1, game.n]);
    const held = (place) => draw(this.game, key(seed, place), this.points.ref, EVALUATED);
    this.real = test ? test.dataSync().slice(0, EVALUATED * game.n) : held(2).dataSync();
    this.shownReal = held(4);
    const directions = game.n === 1 ? [[1]] : game.n === 2
      ? Array.from({ length: 16 }, (_, i) => [Math.cos(i * Math.PI / 16), Math.sin(i * Math.PI / 16)])
      : rows(unit(random.normal(key(seed, 3), [32, game.n]).dataSync(), game.n), game.n);
    this.directions = directions;
    this.surface = game.surface && np.array(Float32Array.from(game.surface)).reshape([-1, game.n]);
    this.realRows = rows(this.real, game.n);
    this.k = 5;
    this.reach = game.centres ? null : reachOf(this.realRows, this.k);
    // the floor: other real points, of the data that the generator learns from
    this.floor = this.measured(rows(held(5).dataSync(), game.n));
  }

  begin() {
    const { seed } = this.settings;
    this.d = firstWeights(this.game.d.sizes, mixed(seed, 1));
    this.g = firstWeights(this.game.g.sizes, mixed(seed, 2));
    const zeros = (weights) => tree.map((w) => np.zeros(w.shape), tree.ref(weights));
    [this.dOpt, this.gOpt] = [this.d, this.g].map((w) => ({ m: zeros(w), v: zeros(w) }));
    Object.assign(this, { step: 0, nD: 0, nG: 0, losses: [], every: 1, kept: [], dLoss: NaN, gLoss: NaN });
    this.keep();
  }

  // Gives its arrays back: nobody else does.
  end() {
    this.kept.forEach(({ arrays }) => tree.dispose(arrays));
    tree.dispose([this.d, this.g, this.dOpt, this.gOpt, this.points, this.z, this.shownReal]);
    this.surface?.dispose();
  }

  moments(rate, t) {
    const { momentum } = this.settings;
    return [rate, momentum, 1 / (1 - momentum ** t), 1 / (1 - BETA2 ** t)];
  }

  stepD() {
    const { d_rate, strength, seed } = this.settings;
    this.nD += 1;
    const h = np.array(Float32Array.from([...this.moments(d_rate, this.nD), strength]));
    const [d, opt, loss] = programs(this.game, this.settings)
      .d(this.d, this.dOpt, tree.ref(this.g), this.points.ref, np.array(mixed(seed, 3, this.nD), { dtype: np.uint32 }), h);
    Object.assign(this, { d, dOpt: opt, dLoss: loss.item() });
  }

  stepG() {
    const { g_rate, seed } = this.settings;
    this.nG += 1;
    const h = np.array(Float32Array.from(this.moments(g_rate, this.nG)));
    const [g, opt, loss] = programs(this.game, this.settings)
      .g(this.g, this.gOpt, tree.ref(this.d), this.points.ref, np.array(mixed(seed, 4, this.nG), { dtype: np.uint32 }), h);
    Object.assign(this, { g, gOpt: opt, gLoss: loss.item() });
  }

  // Algorithm 1 of the thesis (1.3.3): k steps of D, one of G.
  whole() {
    for (let i = 0; i < this.settings.k; i++) this.stepD();
    this.stepG();
    this.step += 1;
    this.losses.push([this.step, this.dLoss, this.gLoss]);
    if (this.step % this.every === 0) this.keep();
    return Number.isFinite(this.dLoss) && Number.isFinite(this.gLoss);
  }

  // What to go back to: at most SPAN steps, ever farther apart, and each change that a reader made.
  keep(event = false) {
    const { step, nD, nG, d, g, dOpt, gOpt, dLoss, gLoss } = this;
    const arrays = tree.ref({ d, g, dOpt, gOpt });
    this.kept.push({ arrays, numbers: { step, nD, nG, dLoss, gLoss }, settings: { ...this.settings }, event });
    if (this.kept.filter((k) => !k.event).length <= SPAN) return;
    this.every *= 2;
    const stays = (k) => k.event || k.numbers.step % this.every === 0;
    const [stay, go] = [true, false].map((is) => this.kept.filter((k) => Boolean(stays(k)) === is));
    go.forEach(({ arrays }) => tree.dispose(arrays));
    this.kept = stay;
  }

  // To a step that was, with the settings of that time, or to one that will be.
  goTo(step) {
    if (step < this.step) {
      const later = this.kept.filter((k) => k.numbers.step > step);
      this.kept = this.kept.filter((k) => k.numbers.step <= step);
      later.forEach(({ arrays }) => tree.dispose(arrays));
      const { arrays, numbers, settings } = this.kept.at(-1);
      tree.dispose({ d: this.d, g: this.g, dOpt: this.dOpt, gOpt: this.gOpt });
      Object.assign(this, tree.ref(arrays), numbers, { settings: { ...settings } });
      this.losses = this.losses.filter(([at]) => at <= numbers.step);
    }
    while (this.step < step && this.whole());
  }

  generated() {
    return lookers(this.game, this.settings.loss).generated(tree.ref(this.g), this.z.ref);
  }

  measured(points) {
    const { centres, n, sd } = this.game;
    const both = Math.min(points.length, this.realRows.length);
    const w1 = wasserstein(points.slice(0, both), this.realRows.slice(0, both), this.directions);
    return centres
      ? { ...aroundCentres(points, rows(Float32Array.from(centres), n), sd), w1 }
      : { ...nearReal(points, this.realRows, this.reach, this.k), w1 };
  }

  // What a picture of the game shows.
  frame(measure = true) {
    const { logits, arrows } = lookers(this.game, this.settings.loss);
    const points = this.generated();
    const some = points.ref.slice([0, EVALUATED], []).reshape([ARROWS, -1, this.game.n]).slice([], 0, []);
    const flat = points.ref.dataSync();
    const frame = {
      step: this.step, settings: { ...this.settings }, nD: this.nD, nG: this.nG, dLoss: this.dLoss, gLoss: this.gLoss,
      points: flat,
      onPoints: logits(tree.ref(this.d), points).dataSync(),
      onReal: logits(tree.ref(this.d), this.shownReal.ref).dataSync(),
      from: some.ref.dataSync(),
      arrows: arrows(tree.ref(this.d), some, this.shownReal.ref.slice([0, ARROWS], [])).dataSync(),
      measures: measure ? this.measured(rows(flat, this.game.n)) : null,
      losses: this.losses.splice(0),
    };
    if (this.surface) frame.surface = logits(tree.ref(this.d), this.surface.ref).dataSync();
    return frame;
  }
}

function unit(flat, n) {
  rows(flat, n).forEach((u) => {
    const length = Math.sqrt(u.reduce((s, x) => s + x * x, 0));
    u.forEach((x, i) => { u[i] = x / length; });
  });
  return flat;
}

// What a test compares with meagan_lib: losses and gradients for given weights and points.
function compare({ game, loss, penalty, strength, d, g, real, z, t }) {
  const array = (values, shape) => np.array(Float32Array.from(values)).reshape(shape);
  const layers = (flat, sizes) => sizes.slice(1).map((outputs, i) => ({
    w: array(flat[2 * i], [sizes[i], outputs]), b: array(flat[2 * i + 1], [outputs]),
  }));
  const [of_d, of_g] = [layers(d, game.d.sizes), layers(g, game.g.sizes)];
  const n = real.length / game.n;
  const [x, noise] = [array(real, [n, game.n]), array(z, [n, game.g.sizes[0]])];
  const fake = generate(game, tree.ref(of_g), noise.ref);
  const [value, dGrads] =
    dGradients(game, loss, penalty, tree.ref(of_d), x.ref, fake, array(t, [n, 1]), np.array(strength));
  const [gValue, gGrads] = gGradients(game, loss, of_g, of_d, x, noise);
  const flat = (layers) => layers.flatMap(({ w, b }) => [w.dataSync(), b.dataSync()].map((a) => Array.from(a)));
  return { d: value.item(), g: gValue.item(), dGrads: flat(dGrads), gGrads: flat(gGrads) };
}

// ---- the worker: one game, and what the page asks of it ----

let play = null;
let rate = 0;  // steps a second while it runs; 0: it rests
let due = 0;  // when the next step is
let answered = true;  // the page has drawn the last frame
let measuredAt = 0;

const ASKED = {
  start: ({ game, settings }) => {
    play?.end();
    play = new Play(game, settings);
    return { floor: play.floor, real: play.shownReal.ref.dataSync(), ...play.frame() };
  },
  settings: ({ settings }) => {
    Object.assign(play.settings, settings);
    play.keep(true);
    return play.frame();
  },
  run: ({ speed }) => {
    if (!rate && speed) setTimeout(turn);
    rate = speed;
    due = performance.now();
    return play.frame();
  },
  step: ({ who }) => {
    if (who === "d") play.stepD();
    else if (who === "g") play.stepG();
    else play.whole();
    if (who !== "both") play.keep(true);
    return play.frame();
  },
  go: ({ step }) => {
    play.goTo(step);
    return { ...play.frame(), went: true };
  },
  drawn: () => { answered = true; },
  compare,
  memory: () => memory.buffer.byteLength,
  measured: () => play.real,  // the real points that generated ones are measured against
};

function turn() {
  if (!rate) return;
  const until = performance.now() + 25;
  while (rate && performance.now() >= due && performance.now() < until) {
    if (!play.whole()) { rate = 0; postMessage({ frame: { ...play.frame(), diverged: true } }); return; }
    due = Math.max(due + 1000 / rate, performance.now() - 200);
  }
  if (answered) {
    answered = false;
    const measure = performance.now() - measuredAt > PAUSE;
    if (measure) measuredAt = performance.now();
    postMessage({ frame: play.frame(measure) });
  }
  setTimeout(turn, Math.max(0, Math.min(25, due - performance.now())));
}

if (typeof onmessage !== "undefined") {
  const ready = jax.init("wasm").then(() => jax.defaultDevice("wasm"));
  onmessage = async ({ data: { id, ask, ...rest } }) => {
    await ready;
    try {
      const answer = ASKED[ask](rest);
      if (id) postMessage({ id, answer });
    } catch (error) {
      postMessage({ id, error: error.message });
    }
  };
}
