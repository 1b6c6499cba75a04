// Paint a defect: a mask that the reader places or draws, and what a trained encoder–decoder paints there.
//
// painting-data.js holds as text the painters (ONNX), some tiles and some masks; runtime.js computes them. An image is
// an array of size² numbers in [0, 1], row by row; a mask has 0 and 1.

const data = window.meaganPainting;
const root = document.getElementById("painting");
const { size } = data;
const SCALE = Math.ceil(512 / size);  // pixels of a canvas for each pixel of an image
const LABEL = 48;  // side of the small pictures
const PLACE = { turn: 0, scale: 1, right: 0, down: 0 };
const PLACES = {
  turn: { words: "turn (degrees)", min: -180, max: 180, step: 5 },
  scale: { words: "size", min: 0.4, max: 2.5, step: 0.05 },
  right: { words: "to the right (pixels)", min: -size, max: size, step: 1 },
  down: { words: "down (pixels)", min: -size, max: size, step: 1 },
};
const MODES = { move: "move the mask", draw: "draw", erase: "erase" };
const PENS = { fine: 0.5, medium: 1.5, broad: 3.5 };  // radius in pixels
const KEYS = {
  ArrowLeft: ["right", -1], ArrowRight: ["right", 1], ArrowUp: ["down", -1], ArrowDown: ["down", 1],
  "-": ["scale", -0.05], "+": ["scale", 0.05], "=": ["scale", 0.05], ",": ["turn", -5], ".": ["turn", 5],
};

const clamped = (x, { min, max }) => Math.min(max, Math.max(min, Math.round(x * 100) / 100));
const count = (array, is) => array.reduce((n, x, i) => n + (is(x, i) ? 1 : 0), 0);
const pixels = (n) => (n === 1 ? "1 pixel" : `${n} pixels`);

function images(text) {
  const flat = Float32Array.from(bytes(text), (x) => x / 255);
  return Array.from({ length: flat.length / size ** 2 }, (_, i) => flat.subarray(i * size ** 2, (i + 1) * size ** 2));
}

// As placed() of meagan_lib.images.geometry: turned about its middle, scaled and moved, linear between pixels.
function placed(mask, { turn, scale, right, down }) {
  const at = [...mask.keys()].filter((i) => mask[i] > 0.5);
  const result = new Float32Array(size ** 2);
  if (!at.length) return result;
  const middle = (values) => (Math.min(...values) + Math.max(...values)) / 2;
  const row = middle(at.map((i) => Math.floor(i / size)));
  const column = middle(at.map((i) => i % size));
  const [cos, sin] = [Math.cos, Math.sin].map((f) => f(turn * Math.PI / 180) / scale);
  return result.map((_, i) => {
    const y = Math.floor(i / size) - row - down;
    const x = i % size - column - right;
    return between(mask, row + cos * y - sin * x, column + sin * y + cos * x) > 0.5 ? 1 : 0;
  });
}

function between(image, y, x) {
  if (y < 0 || x < 0 || y > size - 1 || x > size - 1) return 0;
  const [top, left] = [Math.min(Math.floor(y), size - 2), Math.min(Math.floor(x), size - 2)];
  const [v, u] = [y - top, x - left];
  const i = top * size + left;
  return (1 - v) * ((1 - u) * image[i] + u * image[i + 1]) + v * ((1 - u) * image[i + size] + u * image[i + size + 1]);
}

// The mask and all pixels that are at most `reach` away from it, along rows or columns.
function grown(mask, reach) {
  const result = new Float32Array(size ** 2);
  mask.forEach((inside, i) => {
    if (!inside) return;
    const [row, column] = [Math.floor(i / size), i % size];
    for (let r = Math.max(0, row - reach); r <= Math.min(size - 1, row + reach); r++) {
      result.fill(1, r * size + Math.max(0, column - reach), r * size + Math.min(size - 1, column + reach) + 1);
    }
  });
  return result;
}

// A stroke of a round pen from one point [x, y] to another, on the mask.
function stroke(mask, [x0, y0], [x1, y1], radius, value) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(x1 - x0, y1 - y0)));
  for (let step = 0; step <= steps; step++) {
    const x = Math.floor(x0 + (x1 - x0) * step / steps);
    const y = Math.floor(y0 + (y1 - y0) * step / steps);
    const reach = Math.ceil(radius);
    for (let r = Math.max(0, y - reach); r <= Math.min(size - 1, y + reach); r++) {
      for (let c = Math.max(0, x - reach); c <= Math.min(size - 1, x + reach); c++) {
        if (Math.hypot(r - y, c - x) <= radius) mask[r * size + c] = value;
      }
    }
  }
}

function canvas(side, attributes = {}) {
  return element("canvas", { width: side, height: side, ...attributes });
}

// Draw an image, of which `white` is white, as large as the canvas.
function picture(on, image, white) {
  const small = canvas(size);
  const colours = new ImageData(size, size);
  image.forEach((v, i) => colours.data.fill(Math.min(255, 255 * v / white), 4 * i, 4 * i + 3));
  for (let i = 3; i < colours.data.length; i += 4) colours.data[i] = 255;
  small.getContext("2d").putImageData(colours, 0, 0);
  const pen = on.getContext("2d");
  pen.imageSmoothingEnabled = on.width < size;
  pen.drawImage(small, 0, 0, on.width, on.height);
}

function outline(on, mask) {
  const inside = (r, c) => r >= 0 && c >= 0 && r < size && c < size && mask[r * size + c] > 0.5;
  const path = new Path2D();
  const side = on.width / size;
  const line = (...at) => {
    path.moveTo(...at.slice(0, 2).map((x) => x * side));
    path.lineTo(...at.slice(2).map((x) => x * side));
  };
  for (let r = 0; r < size; r++) {
    for (let c = 0; c < size; c++) {
      if (!inside(r, c)) continue;
      if (!inside(r - 1, c)) line(c, r, c + 1, r);
      if (!inside(r + 1, c)) line(c, r + 1, c + 1, r + 1);
      if (!inside(r, c - 1)) line(c, r, c, r + 1);
      if (!inside(r, c + 1)) line(c + 1, r, c + 1, r + 1);
    }
  }
  const pen = on.getContext("2d");
  pen.lineCap = "square";
  for (const [strokeStyle, lineWidth] of [["rgb(0 0 0 / 60%)", 5], [data.outline, 2.5]]) {
    Object.assign(pen, { strokeStyle, lineWidth });
    pen.stroke(path);
  }
}

class Painter {
  constructor(ort, described) {
    Object.assign(this, described);
    this.ort = ort;
    this.masks = images(described.masks);
  }

  async paint(z, background, mask) {
    this.session ??= this.ort.InferenceSession.create(bytes(this.network));
    const tensor = (values, shape) => new this.ort.Tensor("float32", Float32Array.from(values), shape);
    const feeds = { z: tensor(z, [1, size ** 2]) };
    for (const [name, image] of Object.entries({ background, mask })) feeds[name] = tensor(image, [1, 1, size, size]);
    return (await (await this.session).run(feeds)).output.data;
  }
}

class Painting {
  constructor(ort) {
    this.painters = data.painters.map((described) => new Painter(ort, described));
    this.tiles = images(data.backgrounds);
    this.place = { ...PLACE };
    this.mode = "move";
    this.pen = "medium";
    this.cursor = [size / 2, size / 2];  // of the pen, by keyboard
    this.editor = canvas(size * SCALE, {
      tabindex: 0, role: "application", "aria-label": "Tile with the mask", "aria-describedby": "painting-keys",
    });
    this.result = canvas(size * SCALE, { role: "img", "aria-labelledby": "painting-words" });
    this.words = element("p", { id: "painting-words", class: "readout", "aria-live": "polite" });
    this.how = element("span", { "aria-live": "polite" });
    this.stamps = element("fieldset", { class: "thumbs" });
    this.outlined = element("input", { type: "checkbox" });
    this.outlined.addEventListener("change", () => this.show());
    const classes = this.painters.map((painter) => [painter, painter.class]);
    root.replaceChildren(
      this.radios("Class", classes, (painter) => this.choose(painter)),
      this.thumbs(element("fieldset", { class: "thumbs" }), "Tile", this.tiles, (tile) => this.take(tile)),
      this.stamps,
      this.radios("Pointer and keys", Object.entries(MODES), (mode) => this.use(mode)),
      element("fieldset", {},
        element("label", {}, "Pen ", this.pens()),
        button("Clear the mask", () => this.clear()),
        button("New noise", () => this.renew()),
        element("label", {}, this.outlined, " outline on the result")),
      element("div", { class: "panels" },
        element("div", {}, element("p", {}, "Tile and mask: ", this.how), this.editor),
        element("div", {}, element("p", {}, "Painted"), this.result)),
      this.words,
      this.sliders(),
    );
    for (const radio of root.querySelectorAll("fieldset:not(.thumbs) label:first-of-type > input[type=radio]")) {
      radio.checked = true;
    }
    this.listen();
  }

  radios(legend, choices, action) {
    return element("fieldset", {}, element("legend", {}, legend), ...choices.map(([choice, words]) => {
      const radio = element("input", { type: "radio", name: legend, value: words });
      radio.addEventListener("change", () => action(choice));
      return element("label", {}, radio, ` ${words}`);
    }));
  }

  thumbs(fieldset, legend, all, action) {
    const labels = all.map((image, i) => {
      const words = `${legend.toLowerCase()} ${i + 1}`;
      const radio = element("input", { type: "radio", name: legend, value: i, "aria-label": words });
      radio.addEventListener("click", () => action(image));
      const small = canvas(LABEL, { "aria-hidden": true });
      picture(small, image, brightest(image));
      return element("label", { title: words }, radio, small);
    });
    fieldset.replaceChildren(element("legend", {}, legend), ...labels);
    return fieldset;
  }

  pens() {
    const select = element("select", {}, ...Object.keys(PENS).map((name) => element("option", { value: name }, name)));
    select.value = this.pen;
    select.addEventListener("change", () => { this.pen = select.value; });
    return select;
  }

  sliders() {
    this.inputs = Object.entries(PLACES).map(([name, { words, ...range }]) => {
      const input = element("input", { type: "range", ...range, name, "aria-label": words });
      input.addEventListener("input", () => this.move({ [name]: Number(input.value) }));
      return input;
    });
    const labels = this.inputs.map((input) =>
      element("label", {}, PLACES[input.name].words, element("output"), input));
    return element("div", { class: "sliders", role: "group", "aria-label": "Place of the mask" }, ...labels);
  }

  listen() {
    const at = (event) => {
      const box = this.editor.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * size, (event.clientY - box.top) / box.height * size];
    };
    this.editor.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.editor.setPointerCapture(event.pointerId);
      this.held = { at: at(event), place: { ...this.place } };
      this.keys = this.down = false;
      if (this.mode !== "move") this.line(this.held.at, this.held.at);
    });
    this.editor.addEventListener("pointermove", (event) => {
      if (!this.held) return;
      const [x, y] = at(event);
      const { at: [x0, y0], place } = this.held;
      if (this.mode === "move") {
        this.move({ right: Math.round(place.right + x - x0), down: Math.round(place.down + y - y0) });
      } else {
        this.line(this.held.at, [x, y]);
        this.held.at = [x, y];
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.editor.addEventListener(end, () => { this.held = null; });
    }
    this.editor.addEventListener("keydown", (event) => this.key(event));
    for (const event of ["focus", "blur"]) {
      this.editor.addEventListener(event, () => {
        this.down = false;
        this.keys = this.editor.matches(":focus-visible");
        this.show();
      });
    }
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    this.keys = event.key !== "Tab";
    const [name, step] = KEYS[event.key] ?? [];
    const far = event.shiftKey && event.key.startsWith("Arrow") ? 5 * step : step;
    if (this.mode === "move" && name) this.move({ [name]: this.place[name] + far });
    else if (this.mode !== "move" && event.key === " ") this.set(!this.down);
    else if (this.mode !== "move" && event.key.startsWith("Arrow")) this.go(name === "right" ? [far, 0] : [0, far]);
    else return;
    event.preventDefault();
  }

  set(down) {
    this.down = down;
    if (down) this.line(this.cursor, this.cursor);
    else this.show();
  }

  go([right, down]) {
    const from = this.cursor;
    this.cursor = [from[0] + right, from[1] + down].map((x) => Math.min(size - 1, Math.max(0, x)));
    if (this.down) this.line(from, this.cursor);
    else this.show();
  }

  async choose(painter) {
    this.painter = painter;
    this.thumbs(this.stamps, "Mask", painter.masks, (mask) => this.stamp(mask));
    if (this.drawn) await this.update();
    else {
      this.stamps.querySelector("input").checked = true;
      await this.stamp(painter.masks[0]);
    }
  }

  take(tile) {
    this.tile = tile;
    return this.update();
  }

  stamp(mask) {
    this.drawn = false;
    this.base = mask;
    return this.move(PLACE);
  }

  use(mode) {
    this.mode = mode;
    this.down = false;
    this.show();
  }

  move(to) {
    for (const [name, x] of Object.entries(to)) this.place[name] = clamped(x, PLACES[name]);
    this.mask = placed(this.base, this.place);
    return this.update();
  }

  line(from, to) {
    const mask = this.mask.slice();
    stroke(mask, from, to, PENS[this.pen], this.mode === "erase" ? 0 : 1);
    return this.by_hand(mask);
  }

  clear() {
    return this.by_hand(new Float32Array(size ** 2));
  }

  by_hand(mask) {
    for (const radio of this.stamps.querySelectorAll("input")) radio.checked = false;
    this.drawn = true;
    this.base = this.mask = mask;
    this.place = { ...PLACE };
    return this.update();
  }

  renew() {
    this.z = Float32Array.from({ length: size ** 2 }, normal);
    return this.update();
  }

  // Show the mask at once, and paint; while the network is at work, only the last of what is asked is kept.
  update() {
    this.show();
    this.asked = true;
    this.working ??= this.work().finally(() => { this.working = null; });
    return this.working;
  }

  async work() {
    while (this.asked) {
      this.asked = false;
      const { painter, z, tile, mask } = this;
      this.painted = await painter.paint(z, tile, mask);
      this.tell(painter, tile, mask);
      this.show();
    }
  }

  tell(painter, tile, mask) {
    const near = grown(mask, painter.margin);
    const different = (v, i) => v !== tile[i];
    const changed = count(this.painted, different);
    const beyond = count(this.painted, (v, i) => different(v, i) && !near[i]);
    const inside = count(mask, (x) => x > 0.5);
    this.words.textContent = inside
      ? `Class ${painter.class}, tile ${this.tiles.indexOf(tile) + 1}: the mask has ${pixels(inside)}; ` +
        `${changed} of ${size ** 2} pixels changed, ${beyond || "none"} of them farther than ` +
        `${pixels(painter.margin)} from the mask.`
      : "The mask is empty: nothing is painted. Choose a mask, or draw one.";
  }

  show() {
    const white = brightest(this.tile);
    const drawing = this.mode !== "move";
    const pointing = drawing && this.keys;
    const [column, row] = this.cursor.map((x) => Math.floor(x) + 1);
    this.editor.style.cursor = drawing ? "crosshair" : "move";
    this.how.textContent = pointing ? `pen ${this.down ? "down" : "up"}, column ${column}, row ${row}`
      : drawing ? `${this.mode} on it` : "drag it";
    picture(this.editor, this.tile, white);
    outline(this.editor, this.mask);
    if (pointing) this.point();
    picture(this.result, this.painted ?? this.tile, white);
    if (this.outlined.checked) outline(this.result, this.mask);
    for (const input of this.inputs) {
      const at = this.place[input.name];
      input.value = at;
      input.parentElement.querySelector("output").textContent = String(at).replace("-", "−");
    }
  }

  // Where the keyboard's pen is: a cross, thick while it is down.
  point() {
    const pen = this.editor.getContext("2d");
    const [x, y] = this.cursor.map((at) => (Math.floor(at) + 0.5) * SCALE);
    const cross = new Path2D(`M${x - 16} ${y}H${x + 16}M${x} ${y - 16}V${y + 16}`);
    for (const [strokeStyle, lineWidth] of [["#000", this.down ? 9 : 5], ["#fff", this.down ? 5 : 2]]) {
      Object.assign(pen, { strokeStyle, lineWidth });
      pen.stroke(cross);
    }
  }
}

// The grey that is drawn white: all but the brightest pixels of an image are below.
function brightest(image) {
  return [...image].sort((a, b) => a - b)[Math.floor(0.998 * (image.length - 1))] || 1;
}

startWith(root, async (ort) => {
  const painting = new Painting(ort);
  painting.tile = painting.tiles[0];
  painting.z = Float32Array.from({ length: size ** 2 }, normal);
  root.querySelector("[name=Tile]").checked = true;
  await painting.choose(painting.painters[0]);
  data.painting = painting;
});
