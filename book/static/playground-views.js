// Pictures of the playground's games, drawn on canvases: arrays in, pixels out.

const INK = "#1f1f1f";
const COLOUR = {
  real: "#3C3C3C", generated: "#009E73", d: "#E69F00", other: "#56B4E9", transformer: "#0072B2", faint: "#8a8a8a",
};
const FONT = "12px 'DejaVu Sans', Verdana, sans-serif";
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const linear = (from, to, low, high) => (x) => low + (high - low) * (x - from) / (to - from);

// A canvas as wide as it is shown, sharp on any screen; returns its context, width and height in CSS pixels.
function prepared(canvas, height) {
  const width = canvas.clientWidth || 320;
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const c = canvas.getContext("2d");
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.fillStyle = "#fff";
  c.fillRect(0, 0, width, height);
  c.font = FONT;
  c.lineJoin = "round";
  return [c, width, height];
}

function line(c, xs, ys, colour, { width = 1.5, dash = [] } = {}) {
  c.beginPath();
  xs.forEach((x, i) => (i && Number.isFinite(ys[i]) ? c.lineTo(x, ys[i]) : c.moveTo(x, ys[i])));
  c.strokeStyle = colour;
  c.lineWidth = width;
  c.setLineDash(dash);
  c.stroke();
  c.setLineDash([]);
}

function text(c, words, x, y, { align = "left", colour = INK } = {}) {
  c.textAlign = align;
  c.fillStyle = colour;
  c.fillText(words, x, y);
}

function arrow(c, x, y, dx, dy, colour) {
  const length = Math.hypot(dx, dy);
  if (!(length > 0.5)) return;
  const [ux, uy] = [dx / length, dy / length];
  line(c, [x, x + dx], [y, y + dy], colour, { width: 1.2 });
  line(c, [x + dx - 4 * ux - 2.5 * uy, x + dx, x + dx - 4 * ux + 2.5 * uy],
    [y + dy - 4 * uy + 2.5 * ux, y + dy, y + dy - 4 * uy - 2.5 * ux], colour, { width: 1.2 });
}

// Words with a sample of their colour, side by side, in as many lines as they need; returns the height used.
function legend(c, width, entries, x0 = 4, y0 = 13) {
  let [x, y] = [x0, y0];
  for (const [words, colour, kind = "line"] of entries) {
    const wide = 22 + c.measureText(words).width + 12;
    if (x > x0 && x + wide > width) [x, y] = [x0, y + 16];
    if (kind === "dot") { c.fillStyle = colour; c.beginPath(); c.arc(x + 9, y - 4, 3, 0, 7); c.fill(); }
    else if (kind === "area") { c.fillStyle = colour; c.fillRect(x + 3, y - 9, 13, 9); }
    else line(c, [x + 2, x + 17], [y - 4, y - 4], colour, { width: 2, dash: kind === "dash" ? [4, 3] : kind === "dots" ? [2, 2] : [] });
    text(c, words, x + 22, y);
    x += wide;
  }
  return y + 6;
}

function ticks(from, to, n = 5) {
  const rough = (to - from) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const found = [];
  for (let x = Math.ceil(from / step) * step; x <= to + 1e-9; x += step) found.push(Math.abs(x) < 1e-12 ? 0 : x);
  return found;
}
const number = (x) => String(Number(x.toPrecision(2 + (Math.abs(x) >= 1)))).replace("-", "−");

// Gaussian kernel density of numbers at the places of a grid.
function kernelDensity(values, grid) {
  const mean = values.reduce((s, x) => s + x, 0) / values.length;
  const sd = Math.sqrt(values.reduce((s, x) => s + (x - mean) ** 2, 0) / values.length);
  const h = Math.max(0.06, 0.9 * sd * values.length ** -0.2);
  return grid.map((g) => values.reduce((s, x) => s + Math.exp(-0.5 * ((g - x) / h) ** 2), 0)
    / (values.length * h * Math.sqrt(2 * Math.PI)));
}

const mixture = (game, x) => game.points.reduce((s, m) => s + Math.exp(-0.5 * ((x - m) / game.sd) ** 2), 0)
  / (game.points.length * game.sd * Math.sqrt(2 * Math.PI));

// c2: densities of the data and of G(z), D and the best D*, and where G sends each z.
function drawDensities(canvas, game, frame, layers, lit) {
  const [c, width, height] = prepared(canvas, 340);
  const entries = [];
  if (layers.real) entries.push([words.layers.real, COLOUR.real]);
  if (layers.generated) entries.push([words.layers.generated, COLOUR.generated]);
  if (layers.d) entries.push([words.layers.d, COLOUR.d, "dash"]);
  if (layers.best) entries.push([words.layers.best, INK, "dots"]);
  const top = legend(c, width, entries) + 6;
  const [left, right, bottom, deep] = [36, width - 36, 236, 316];
  const grid = Array.from(game.surface);
  const x = linear(grid[0], grid.at(-1), left, right);
  const real = grid.map((g) => mixture(game, g));
  const generated = kernelDensity(Array.from(frame.points), grid);
  const highest = 1.35 * Math.max(...real);
  const y = linear(0, highest, bottom, top);
  const yD = linear(0, 1, bottom, top);
  const at = grid.map(x);
  const clipped = generated.map((v) => y(Math.min(v, highest)));
  if (layers.real) line(c, at, real.map(y), COLOUR.real, { width: lit === 0 ? 3.5 : 2 });
  if (layers.generated) line(c, at, clipped, COLOUR.generated, { width: lit === 0 ? 3.5 : 2 });
  if (layers.best) line(c, at, grid.map((_, i) => yD(real[i] / (real[i] + generated[i]))), INK, { width: 1, dash: [1, 3] });
  if (layers.d) line(c, at, Array.from(frame.surface, (v) => yD(sigmoid(v))), COLOUR.d, { width: lit === 1 ? 3.5 : 2, dash: [6, 3] });
  line(c, [left, left, right, right], [top, bottom, bottom, top], COLOUR.faint, { width: 1 });
  for (const t of ticks(grid[0], grid.at(-1), 6)) text(c, number(t), x(t), bottom + 13, { align: "center" });
  for (const t of [0, 0.5, 1]) text(c, number(t), right + 5, yD(t) + 4, { colour: "#7a5300" });
  text(c, words.judged, right + 4, top + 16, { colour: "#7a5300" });
  c.save();
  c.translate(12, (top + bottom) / 2);
  c.rotate(-Math.PI / 2);
  text(c, words.density, 0, 0, { align: "center" });
  c.restore();
  // z below, x above
  const z = linear(-1, 1, left + 0.15 * (right - left), right - 0.15 * (right - left));
  if (layers.generated) {
    const n = frame.points.length;
    for (let i = 0; i < n; i += 16) {
      line(c, [z(2 * (i + 0.5) / n - 1), x(frame.points[i])], [deep, bottom + 20], COLOUR.generated, { width: 0.6 });
    }
  }
  line(c, [left, right], [bottom + 20, bottom + 20], COLOUR.faint, { width: 1 });
  line(c, [z(-1), z(1)], [deep, deep], COLOUR.faint, { width: 1 });
  for (const t of [-1, 0, 1]) text(c, number(t), z(t), deep + 15, { align: "center" });
  text(c, "z", z(1) + 14, deep + 4);
  text(c, "x", right + 8, bottom + 24);
  if (layers.arrows) drawArrows(c, frame, 1, (p) => [x(p[0]), bottom + 20], lit);
}

// Gradients as arrows: 36 pixels are a length of 1, or the longest where that is above 1; half a pixel is left out.
function drawArrows(c, frame, n, place, lit) {
  const { from, arrows } = frame;
  const lengths = [];
  for (let i = 0; i < arrows.length; i += n) lengths.push(Math.hypot(...arrows.subarray(i, i + n)));
  const unit = 36 / Math.max(1, ...lengths);
  for (let i = 0; i < from.length; i += n) {
    const [px, py] = place(from.subarray(i, i + n));
    const [dx, dy = 0] = arrows.subarray(i, i + n);
    arrow(c, px, py, dx * unit, n === 1 ? 0 : -dy * unit, lit === 2 ? "#b34700" : "#7a5300");
  }
}

const HEAT = [[86, 180, 233], [255, 255, 255], [230, 159, 0]];  // D = 0, ½, 1
function heat(d) {
  const [a, b, t] = d < 0.5 ? [HEAT[0], HEAT[1], 2 * d] : [HEAT[1], HEAT[2], 2 * d - 1];
  return a.map((v, i) => v + t * (b[i] - v));
}

// D over a plane, smoothly: `side` × `side` logits, drawn to a rectangle.
const small = document.createElement("canvas");
function drawHeat(c, logits, side, left, top, size) {
  small.width = small.height = side;
  const image = small.getContext("2d").createImageData(side, side);
  logits.forEach((logit, i) => {
    const [r, g, b] = heat(sigmoid(logit));
    image.data.set([r, g, b, 190], 4 * ((side - 1 - Math.floor(i / side)) * side + (i % side)));
  });
  small.getContext("2d").putImageData(image, 0, 0);
  c.imageSmoothingEnabled = true;
  c.drawImage(small, left, top, size, size);
}

function dots(c, flat, place, colour, radius, judged = null) {
  for (let i = 0; i < flat.length; i += 2) {
    const [x, y] = place([flat[i], flat[i + 1]]);
    c.fillStyle = judged ? `rgb(${heat(sigmoid(judged[i / 2])).map((v) => 0.8 * v)})` : colour;
    c.beginPath();
    c.arc(x, y, radius, 0, 7);
    c.fill();
  }
}

// c4: points of the data and of G(z) in a plane, D as colours, gradients as arrows.
function drawPoints(canvas, game, frame, layers, lit, real) {
  const room = Math.min(canvas.clientWidth || 320, 460);
  const [c, width] = prepared(canvas, room + 44);
  const entries = [];
  if (layers.real) entries.push([words.layers.real, COLOUR.real, "dot"]);
  if (layers.generated) entries.push([words.layers.generated, COLOUR.generated, "dot"]);
  if (layers.d) entries.push(["D → 1", COLOUR.d, "area"], ["D → 0", COLOUR.other, "area"]);
  const top = legend(c, width, entries);
  const size = Math.min(width, room + 40 - top);
  const left = (width - size) / 2;
  const span = game.span;
  const x = linear(-span, span, left, left + size);
  const y = linear(-span, span, top + size, top);
  const place = (p) => [x(p[0]), y(p[1])];
  c.save();
  c.beginPath();
  c.rect(left, top, size, size);
  c.clip();
  if (layers.d) drawHeat(c, frame.surface, Math.sqrt(frame.surface.length), left, top, size);
  if (game.centres && layers.real) {
    for (let i = 0; i < game.centres.length; i += 2) {
      c.beginPath();
      c.arc(x(game.centres[i]), y(game.centres[i + 1]), 3 * game.sd * size / (2 * span), 0, 7);
      c.strokeStyle = COLOUR.real;
      c.lineWidth = 1;
      c.stroke();
    }
  }
  if (layers.real) dots(c, real, place, COLOUR.real, lit === 0 ? 2.2 : 1.2, lit === 1 ? frame.onReal : null);
  if (layers.generated) dots(c, frame.points, place, COLOUR.generated, lit === 0 || lit === 3 ? 3 : 2, lit === 1 ? frame.onPoints : null);
  if (layers.arrows) drawArrows(c, frame, 2, place, lit);
  c.restore();
  line(c, [left, left + size, left + size, left, left], [top, top, top + size, top + size, top], COLOUR.faint, { width: 1 });
}

// Windows over time: real ones, those of the small generator, and the Transformer-GAN's of the same run.
function drawSpikes(canvas, game, frame, layers, lit, real, spikes) {
  const [c, width] = prepared(canvas, 430);
  const entries = [];
  if (layers.real) entries.push([words.layers.real, COLOUR.real]);
  if (layers.generated) entries.push([words.layers.generated, COLOUR.generated]);
  if (layers.transformer && spikes.synthetic) entries.push([words.transformer, COLOUR.transformer]);
  const top = legend(c, width, entries);
  const n = game.n;
  const [left, right, bottom] = [46, width - 6, 228];
  const t = spikes.time_ms;
  const x = linear(t[0], t.at(-1), left, right);
  const value = (v) => spikes.mean + spikes.scale * v;
  const [low, high] = spikes.range;
  const y = linear(low, high, bottom, top);
  const at = t.map(x);
  const some = (flat, colour, shown) => {
    for (let i = 0; i < shown; i++) line(c, at, Array.from(flat.subarray(i * n, (i + 1) * n), (v) => y(value(v))), colour, { width: 0.7 });
  };
  c.save();
  c.beginPath();
  c.rect(left, top, right - left, bottom - top);
  c.clip();
  c.globalAlpha = 0.5;
  if (layers.real) some(real, COLOUR.real, 24);
  if (layers.transformer && spikes.synthetic) some(spikes.synthetic, COLOUR.transformer, 24);
  if (layers.generated) some(frame.points, COLOUR.generated, lit === 0 ? 48 : 24);
  c.restore();
  line(c, [left, left, right], [top, bottom, bottom], COLOUR.faint, { width: 1 });
  for (const v of ticks(low, high, 4)) text(c, number(v), left - 4, y(v) + 4, { align: "right" });
  for (const v of ticks(t[0], t.at(-1), 5)) text(c, number(v), x(v), bottom + 14, { align: "center" });
  text(c, words.time_axis, right, bottom + 28, { align: "right" });
  text(c, filled(words.voltage, spikes.unit), left + 4, top + 12);
  // the same windows in two principal components of the real ones
  const [from, to] = [bottom + 36, 412];
  const [px, py] = [linear(...spikes.plane[0], left, right), linear(...spikes.plane[1], to, from)];
  const place = ([a, b]) => [px(a), py(b)];
  const flat = (windows) => {
    const found = new Float32Array(2 * windows.length / n);
    for (let i = 0; i < windows.length / n; i++) {
      for (let j = 0; j < 2; j++) {
        let s = 0;
        for (let k = 0; k < n; k++) s += (windows[i * n + k] - spikes.centre[k]) * spikes.components[j * n + k];
        found[2 * i + j] = s;
      }
    }
    return found;
  };
  c.save();
  c.beginPath();
  c.rect(left, from, right - left, to - from);
  c.clip();
  if (layers.real) dots(c, flat(real), place, COLOUR.real, 1.3, lit === 1 ? frame.onReal : null);
  if (layers.transformer && spikes.synthetic) dots(c, flat(spikes.synthetic), place, COLOUR.transformer, 1.3);
  if (layers.generated) dots(c, flat(frame.points), place, COLOUR.generated, 1.8, lit === 1 || layers.d ? frame.onPoints : null);
  if (layers.arrows) {
    const project = (v) => [0, 1].map((j) => v.reduce((s, w, k) => s + w * spikes.components[j * n + k], 0));
    const moved = { from: flat(frame.from), arrows: new Float32Array(frame.arrows.length / n * 2) };
    for (let i = 0; i < frame.arrows.length / n; i++) moved.arrows.set(project(frame.arrows.subarray(i * n, (i + 1) * n)), 2 * i);
    drawArrows(c, moved, 2, place, lit);
  }
  c.restore();
  line(c, [left, right, right, left, left], [from, from, to, to, from], COLOUR.faint, { width: 1 });
  text(c, words.first_pc, right, 426, { align: "right" });
  c.save();
  c.translate(left - 8, (from + to) / 2);
  c.rotate(-Math.PI / 2);
  text(c, words.second_pc, 0, 0, { align: "center" });
  c.restore();
}

// Curves over steps: [words, colour, [[step, value]], kind of line]; a floor is one value.
function drawCurves(canvas, curves, floors, range = null) {
  const [c, width, height] = prepared(canvas, 130);
  const top = legend(c, width, curves.map(([words, colour, , kind]) => [words, colour, kind ?? "line"])
    .concat(floors.length ? [[words.floor, COLOUR.faint, "dots"]] : [])) + 2;
  const values = curves.flatMap(([, , points]) => points.map(([, v]) => v)).filter(Number.isFinite);
  const steps = curves.flatMap(([, , points]) => points.map(([s]) => s));
  const last = Math.max(10, steps.length ? steps.reduce((a, b) => Math.max(a, b)) : 0);
  let [low, high] = range ?? [
    values.reduce((a, b) => Math.min(a, b), Math.min(...floors, Infinity)),
    values.reduce((a, b) => Math.max(a, b), Math.max(...floors, -Infinity)),
  ];
  if (!(high > low)) [low, high] = [(Number.isFinite(low) ? low : 0) - 0.5, (Number.isFinite(low) ? low : 0) + 0.5];
  const [left, right, bottom] = [50, width - 8, height - 18];
  const x = linear(0, last, left, right);
  const y = linear(low, high, bottom, top + 4);
  for (const floor of floors) line(c, [left, right], [y(floor), y(floor)], COLOUR.faint, { dash: [2, 2] });
  for (const [, colour, points, kind] of curves) {
    const each = Math.max(1, Math.floor(points.length / (right - left)));
    const shown = points.filter((_, i) => i % each === 0);
    line(c, shown.map(([s]) => x(s)), shown.map(([, v]) => y(v)), colour, { width: 1.3, dash: kind === "dash" ? [4, 3] : [] });
  }
  line(c, [left, left, right], [top, bottom, bottom], COLOUR.faint, { width: 1 });
  for (const t of [low, high]) text(c, number(t), left - 4, y(t) + 4, { align: "right" });
  text(c, "0", left, bottom + 14, { align: "center" });
  text(c, `${words.step} ${last}`, right, bottom + 14, { align: "right" });
}
