// What pages that compute a network share: onnxruntime-web, which runtime-data.js holds as text, and some helpers.

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// A standard normal number; the priors of meagan_lib.training.trainer have mean 0 and variance 1.
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "text", "title", "clipPath", "rect"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function button(words, action) {
  const made = element("button", { type: "button" }, words);
  made.addEventListener("click", action);
  return made;
}

async function loadRuntime() {
  const { module, wasm } = window.meaganRuntime;
  const unpacked = new Blob([bytes(wasm)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([bytes(module)], { type: "text/javascript" }));
  const ort = await import(url);
  ort.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer();
  ort.env.wasm.numThreads = 1;
  return ort;
}

// Put into `root` what `begin(ort)` makes; where a browser cannot, say why.
async function startWith(root, begin) {
  root.replaceChildren(element("p", {}, "Loading the networks …"));
  try {
    await begin(await loadRuntime());
  } catch (error) {
    root.replaceChildren(element("p", {},
      `This page does not run here (${error.message}). A recent Firefox, Chrome, Edge or Safari will do.`));
    throw error;
  }
}
