// The latent explorer: sliders over the leading latent directions of a trained generator, computed in this page.
//
// explorer-data.js holds as text the networks (ONNX), their directions and real windows; runtime.js computes them.

const data = window.meaganExplorer;
const root = document.getElementById("explorer");
const REACH = 3;  // how far a slider goes, in standard deviations of the prior
const SHOWN = 60;  // real windows behind the synthetic one
const width = Math.min(640, Math.max(300, root.clientWidth - 28));  // letters stay legible on a phone
const SIZE = { width, height: Math.max(260, 0.53 * width), left: 64, right: 12, top: 12, bottom: 44 };

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const round = (x) => Number(x.toPrecision(3));
const formatted = (x) => String(round(x)).replace("-", "−");

function draw(prior, n) {
  if (prior === "uniform") return Array.from({ length: n }, () => (2 * Math.random() - 1) * Math.sqrt(3));
  const z = Array.from({ length: n }, normal);
  if (prior === "correlated") for (let i = 1; i < n; i++) z[i] = 0.5 * z[i - 1] + Math.sqrt(0.75) * z[i];
  return z;
}

class Model {
  constructor(ort, described) {
    Object.assign(this, described);
    this.ort = ort;
    this.sessions = {};
  }

  async compute(network, input, label) {
    this.sessions[network] ??= this.ort.InferenceSession.create(bytes(this[network]));
    const session = await this.sessions[network];
    const feeds = { input: new this.ort.Tensor("float32", Float32Array.from(input), [1, input.length]) };
    if (this.classes.length) feeds.label = new this.ort.Tensor("int64", [BigInt(label)], [1]);
    return (await session.run(feeds)).output.data;
  }

  async window(z, label = 0) {
    return Array.from(await this.compute("generator", z, label), (x) => this.centre + this.scale * x);
  }

  async encoded(window, label = 0) {
    return Array.from(await this.compute("encoder", window.map((x) => (x - this.centre) / this.scale), label));
  }
}

function realWindows() {
  const flat = new Float32Array(bytes(data.real).buffer);
  const samples = data.time_ms.length;
  const window = (_, i) => Array.from(flat.subarray(i * samples, (i + 1) * samples));
  return Array.from({ length: flat.length / samples }, window);
}

class Plot {
  constructor(real) {
    const all_but_few = (values) => values.sort((a, b) => a - b)[Math.floor(0.97 * values.length)];
    const low = -all_but_few(real.map((window) => -Math.min(...window)));  // a single giant would squeeze the rest
    const high = all_but_few(real.map((window) => Math.max(...window)));
    const margin = 0.15 * (high - low);
    this.low = low - margin;
    this.high = high + margin;
    this.svg = element("svg", {
      viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-labelledby": "explorer-words",
    });
    const [left, bottom] = [SIZE.left, SIZE.height - SIZE.bottom];
    const frame = { x: left, y: SIZE.top, width: SIZE.width - SIZE.right - left, height: bottom - SIZE.top };
    this.svg.append(element("clipPath", { id: "explorer-frame" }, element("rect", frame)));
    this.axes();
    for (const window of real.slice(0, SHOWN)) this.line(window, "#8a8a8a", 0.6, { opacity: 0.35 });
    this.nearest = this.line(real[0], "#3c3c3c", 1.2);
    this.encoded = this.line(real[0], "#3c3c3c", 1.8, { "stroke-dasharray": "6 4" });
    this.synthetic = this.line(real[0], "#000", 2.6);
  }

  x = (t) => {
    const [first, last] = [data.time_ms[0], data.time_ms.at(-1)];
    return SIZE.left + (t - first) / (last - first) * (SIZE.width - SIZE.left - SIZE.right);
  };

  y = (v) => SIZE.top + (this.high - v) / (this.high - this.low) * (SIZE.height - SIZE.top - SIZE.bottom);

  axes() {
    const bottom = SIZE.height - SIZE.bottom;
    const text = (x, y, words, more = {}) => this.svg.append(
      element("text", { x, y, "font-size": 13, fill: "#333", "text-anchor": "middle", ...more }, words),
    );
    const frame = `M${SIZE.left} ${SIZE.top}V${bottom}H${SIZE.width - SIZE.right}`;
    this.svg.append(element("path", { d: frame, fill: "none", stroke: "#333" }));
    for (const t of ticks(data.time_ms[0], data.time_ms.at(-1))) text(this.x(t), bottom + 16, formatted(t));
    for (const v of ticks(this.low, this.high)) text(SIZE.left - 6, this.y(v) + 4, formatted(v), { "text-anchor": "end" });
    text((SIZE.left + SIZE.width) / 2, SIZE.height - 6, "time from trough (ms)");
    text(0, 0, `voltage (${data.unit})`, { transform: `translate(14 ${bottom / 2}) rotate(-90)` });
  }

  path(window) {
    return "M" + window.map((v, i) => `${this.x(data.time_ms[i]).toFixed(1)} ${this.y(v).toFixed(1)}`).join("L");
  }

  line(window, stroke, width, more = {}) {
    const style = { fill: "none", stroke, "stroke-width": width, "stroke-linejoin": "round", ...more };
    style["clip-path"] = "url(#explorer-frame)";
    const made = element("path", { d: this.path(window), ...style });
    this.svg.append(made);
    return made;
  }

  show(line, window) {
    line.setAttribute("visibility", window ? "visible" : "hidden");
    if (window) line.setAttribute("d", this.path(window));
  }
}

function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => round((first + i) * step));
}

// A line of the plot as the legend shows it, with its words.
function key(stroke, width, words, dashes = "") {
  const line = element("path", { d: "M1 6H27", stroke, "stroke-width": width, "stroke-dasharray": dashes });
  const svg = element("svg", { viewBox: "0 0 28 12", "aria-hidden": true }, line);
  return element("span", {}, svg, ` ${words}`);
}

class Explorer {
  constructor(ort) {
    this.real = realWindows();
    this.models = data.models.map((described) => new Model(ort, described));
    this.plot = new Plot(this.real);
    this.legend = element("p", { class: "key" });
    this.words = element("p", { id: "explorer-words", class: "readout", "aria-live": "polite" });
    this.actions = element("fieldset");
    this.sliders = element("div", { class: "sliders", role: "group", "aria-label": "Latent directions" });
    const choice = element("fieldset", {}, element("legend", {}, "Network"));
    for (const model of this.models) {
      const radio = element("input", { type: "radio", name: "model", value: model.model });
      radio.addEventListener("change", () => this.choose(model));
      choice.append(element("label", {}, radio, ` ${model.name}`));
    }
    root.replaceChildren(choice, this.actions, this.plot.svg, this.legend, this.words, this.sliders);
    choice.querySelector("input").checked = true;
  }

  async choose(model) {
    this.model = model;
    this.label = 0;
    this.actions.replaceChildren(
      button("New spike", () => this.from(draw(model.prior, model.latent))),
      button("Typical spike", () => this.from(new Array(model.latent).fill(0))),
      button("Reset", () => this.from(this.start, this.window)),
    );
    if (model.encoder) this.actions.lastChild.before(button("Encode a real spike", () => this.encode()));
    this.legend.replaceChildren(
      key("#8a8a8a", 1.5, "real spikes that no model has seen"), key("#3c3c3c", 1.5, "the nearest of them"),
      key(model.colour, 3, `synthetic, ${model.name}`),
    );
    if (model.encoder) this.legend.append(key("#3c3c3c", 2, "the real spike that was encoded", "6 4"));
    if (model.classes.length) this.actions.append(this.classes());
    this.sliders.replaceChildren(...model.directions.map((_, i) => this.slider(i)));
    await this.from(draw(model.prior, model.latent));
  }

  classes() {
    const select = element("select", {}, ...this.model.classes.map((name, i) => element("option", { value: i }, name)));
    select.addEventListener("change", () => { this.label = Number(select.value); this.update(); });
    return element("label", {}, "Class ", select);
  }

  slider(i) {
    const words = this.model.titles[i];
    const input = element("input", {
      type: "range", min: -REACH, max: REACH, step: 0.05, "data-direction": i, "aria-label": words,
    });
    input.addEventListener("input", () => {
      const direction = this.model.directions[i];
      const move = Number(input.value) - dot(this.z, direction);
      this.z = this.z.map((x, j) => x + move * direction[j]);
      this.update();
    });
    return element("label", {}, words, element("output"), input);
  }

  async from(z, encoded = null) {
    this.z = this.start = z;
    this.window = encoded;
    this.plot.show(this.plot.encoded, encoded);
    await this.update();
  }

  async encode() {
    const window = this.real[Math.floor(Math.random() * this.real.length)];
    await this.from(await this.model.encoded(window, this.label), window);
  }

  async update() {
    for (const label of this.sliders.children) {
      const input = label.querySelector("input");
      const at = dot(this.z, this.model.directions[input.dataset.direction]);
      input.value = at;
      label.querySelector("output").textContent = at.toFixed(2).replace("-", "−");
    }
    const asked = this.z;
    const window = await this.model.window(asked, this.label);
    if (asked !== this.z) return;  // moved on while the network was at work
    const distance = (other) => Math.sqrt(window.reduce((sum, v, i) => sum + (v - other[i]) ** 2, 0) / window.length);
    const distances = this.real.map(distance);
    const encoded = this.window ? `; ${formatted(distance(this.window))} ${data.unit} from the one that was encoded` : "";
    const least = Math.min(...distances);
    this.plot.synthetic.setAttribute("stroke", this.model.colour);
    this.plot.show(this.plot.synthetic, window);
    this.plot.show(this.plot.nearest, this.real[distances.indexOf(least)]);
    const trough = Math.min(...window);
    const at = data.time_ms[window.indexOf(trough)];
    this.words.textContent =
      `Synthetic spike of the ${this.model.name}: trough ${formatted(trough)} ${data.unit} at ${formatted(at)} ms, ` +
      `peak ${formatted(Math.max(...window))} ${data.unit}; ` +
      `${formatted(least)} ${data.unit} (root mean square) from the nearest of ${this.real.length} real windows${encoded}.`;
  }
}

startWith(root, async (ort) => {
  const explorer = new Explorer(ort);
  window.meaganExplorer.explorer = explorer;
  await explorer.choose(explorer.models[0]);
});
