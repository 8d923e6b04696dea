// The page of `vaeline serve`. It uses the public paths and shows which model answered.

const REACH = 3; // the plane shows this many standard deviations of the prior in each direction
const CHECK_INTERVAL = 1500; // milliseconds between two checks which model answers
const SLIDERS = 6;
const TILES = 15; // images along a side of the plane, fewer if they are large
const LEAST_TILES = 3;
const MOST_SAMPLES = 16;
const NARROWEST = 40; // pixels; a sample is shown at least as wide, and at least as wide as it is
const SENT = ["image/png", "image/jpeg", "image/webp"]; // the server reads these; other pictures are sent as PNG
const REDUCED = 1024; // pixels of the longer side of a picture that is too large to be sent as it is
const BRUSH = 0.075; // width of a line, as a share of the pad
const INK_SHARE = 5 / 7; // size of a drawing, as a share of the shorter side: a digit of MNIST fills 20 of 28 pixels
const DARK = [21, 24, 31];
const LIGHT = [255, 244, 224];

const element = (id) => document.getElementById(id);
let about = null;
let latents = [];
let label = 0;
let seed = 1;
let given = null; // the picture that was dropped or chosen: its file and its pixels

// ---- requests ------------------------------------------------------------------------------------------------------

async function request(path, options = {}) {
  const response = await fetch(path, options);
  if (!response.ok) {
    const refusal = await response.json().catch(() => ({ error: `status ${response.status}` }));
    throw new Error(refusal.error);
  }
  const digest = response.headers.get("Vaeline-Digest");
  if (about?.model && digest && digest !== about.model.digest) checkModel();
  element("answered").textContent = `last answer by ${response.headers.get("Vaeline-Model")}`;
  return response;
}

const requestJson = async (path, options) => (await request(path, options)).json();
const requestPicture = async (path, options = {}) => {
  const headers = { ...options.headers, Accept: "image/png" };
  return createImageBitmap(await (await request(path, { ...options, headers })).blob());
};
const json = (content) => ({
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
});
const picture = (blob) => ({ method: "POST", headers: { "Content-Type": blob.type }, body: blob });

/**
 * A function that runs `work`, one run at a time. Calls during a run cause one more run after it.
 * The page counts the functions that run, in `data-pending` of its body.
 */
function latest(work) {
  let busy = false, again = false;
  return async function run() {
    if (busy) { again = true; return; }
    busy = true;
    count(1);
    do {
      again = false;
      try { await work(); } catch (error) { element("answered").textContent = error.message; }
    } while (again);
    busy = false;
    count(-1);
  };
}

function count(change) {
  const { dataset } = document.body;
  dataset.pending = Number(dataset.pending ?? 0) + change;
}

// ---- which model ---------------------------------------------------------------------------------------------------

async function checkModel() {
  let found;
  try { found = await (await fetch("/version")).json(); } catch {
    element("light").className = "";
    showTrouble("the server does not answer");
    return;
  }
  const before = about?.model?.digest;
  about = found;
  showTrouble(found.trouble);
  element("light").className = found.ready ? (found.up_to_date ? "fine" : "kept") : "";
  if (!found.model || found.model.digest === before) return;
  showModel(found, Boolean(before));
  restart();
}

function showTrouble(sentence) {
  element("trouble").hidden = !sentence;
  const kept = about?.model ? ` — ${nameOf(about.model)} still answers` : "";
  element("trouble").textContent = sentence ? sentence + kept : "";
}

const nameOf = (model) => (model.version ? `${model.name} version ${model.version}` : model.uri);

function showModel(found, changed) {
  element("name").textContent = nameOf(found.model);
  element("title").textContent = found.title;
  element("digest").textContent = found.model.digest.slice(0, 12);
  element("digest").title = found.model.digest;
  document.title = `vaeline: ${nameOf(found.model)}`;
  element("model").classList.remove("changed");
  if (changed) requestAnimationFrame(() => element("model").classList.add("changed"));
}

/** Show everything again for the model that answers now. The drawing stays. */
function restart() {
  fitCanvases();
  const plane = about.axes.length > 0;
  element("plane-panel").hidden = !plane;
  label = Math.min(label, about.classes - 1);
  latents = new Array(about.latent_dim).fill(0);
  for (const axis of about.axes) latents[axis.index] = axis.mean;
  if (plane) { showClasses(); showSliders(); showAxes(); drawPlane(); choose(); }
  drawSamples();
  showInput();
  readInput();
}

/** Whether the images are light ink on black, as a drawing is. Only then there is a pad. */
const isInk = () => about.ink && about.image.channels === 1;

/** Give the canvases the proportions of the model's images. A canvas for one image has as many pixels as the image. */
function fitCanvases() {
  const { width, height } = about.image, ratio = `${width} / ${height}`;
  for (const id of ["decoded", "seen", "rebuilt", "plane", "pad"]) element(id).style.aspectRatio = ratio;
  for (const id of ["decoded", "seen", "rebuilt"]) resize(element(id), width, height);
  for (const id of ["plane", "pad"]) resize(element(id), element(id).width, Math.round((element(id).width * height) / width));
}

/** Set the size of a canvas only if it changes, because setting it clears the canvas. */
function resize(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

// ---- the plane -----------------------------------------------------------------------------------------------------

const shown = () => [about.axes[0], about.axes[1]];
const span = (axis, share) => axis.mean + (2 * share - 1) * REACH * axis.deviation;
const share = (axis, value) => ((value - axis.mean) / (REACH * axis.deviation) + 1) / 2;

function withLabel(z) {
  const whole = [...z];
  for (let place = 0; place < about.label_dim; place++) whole[about.latent_dim - about.label_dim + place] = Number(place === label);
  return whole;
}

function moved(x, y) {
  const [across, up] = shown(), z = [...latents];
  z[across.index] = span(across, x);
  if (up) z[up.index] = span(up, 1 - y);
  return withLabel(z);
}

const drawPlane = latest(async () => {
  const { width, height } = about.image, fitting = Math.floor(element("plane").width / Math.max(width, height));
  const side = Math.min(Math.max(LEAST_TILES, Math.min(TILES, fitting)), Math.floor(Math.sqrt(about.limits.most_images)));
  const middles = Array.from({ length: side }, (_, tile) => (tile + 0.5) / side);
  const grid = middles.flatMap((y) => middles.map((x) => moved(x, y)));
  const sheet = await requestPicture("/decode", json({ latents: grid }));
  paint(element("plane"), sheet, 0.75);
});

const decodePoint = latest(async () => {
  const bitmap = await requestPicture("/decode", json({ latents: withLabel(latents) }));
  paint(element("decoded"), bitmap);
});

function choose() {
  const [across, up] = shown();
  element("point").hidden = false;
  place(element("point"), share(across, latents[across.index]), up ? 1 - share(up, latents[up.index]) : 0.5);
  const named = [across, up].filter(Boolean);
  element("coordinates").textContent = named.map((axis) => `z${axis.index + 1} ${latents[axis.index].toFixed(2)}`).join("  ");
  decodePoint();
}

function place(mark, x, y) {
  mark.style.left = `${100 * x}%`;
  mark.style.top = `${100 * y}%`;
}

function goTo(x, y) {
  const [across, up] = shown(), inside = (value) => Math.min(1, Math.max(0, value));
  latents[across.index] = span(across, inside(x));
  if (up) latents[up.index] = span(up, 1 - inside(y));
  choose();
}

function showAxes() {
  const [across, up] = shown();
  const text = (axis, arrow) => (axis ? `${arrow} z${axis.index + 1}  ${span(axis, 0).toFixed(1)} … ${span(axis, 1).toFixed(1)}` : "");
  element("axis-x").textContent = text(across, "→");
  element("axis-y").textContent = text(up, "↑");
  element("plane-hint").textContent = about.axes.length > 2
    ? `Click or drag. The plane shows the two of ${about.axes.length} latents with the largest effect; the next ones have sliders.`
    : "Click or drag. Each point of the plane is an image.";
}

function showSliders() {
  element("sliders").replaceChildren(...about.axes.slice(2, 2 + SLIDERS).map((axis) => {
    const line = document.createElement("label"), range = document.createElement("input"), value = document.createElement("output");
    Object.assign(range, { type: "range", min: span(axis, 0), max: span(axis, 1), step: axis.deviation / 20, value: latents[axis.index] });
    const showValue = () => { value.textContent = latents[axis.index].toFixed(2); };
    range.addEventListener("input", () => { latents[axis.index] = Number(range.value); showValue(); drawPlane(); choose(); });
    showValue();
    line.append(`z${axis.index + 1}`, range, value);
    return line;
  }));
}

function showClasses() {
  element("classes").hidden = !about.is_conditional;
  element("classes").replaceChildren(...Array.from({ length: about.is_conditional ? about.classes : 0 }, (_, number) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: number, ariaPressed: String(number === label) });
    button.addEventListener("click", () => { label = number; showClasses(); drawPlane(); choose(); drawSamples(); });
    return button;
  }));
}

// ---- an image as input ---------------------------------------------------------------------------------------------

/** Show the pad if the images are ink, else a place for a picture; and the picture, if there is one. */
function showInput() {
  const inked = isInk();
  element("draw-hint").textContent = inked ? "Draw with the mouse or a finger, or drop a picture here." : "Drop a picture here, or choose a file.";
  pad.hidden = !inked || Boolean(given);
  element("picture").hidden = !given;
  element("empty").hidden = inked || Boolean(given);
  element("centre-tool").hidden = !inked || Boolean(given);
  element("invert-tool").hidden = !inked || !given;
}

async function take(file) {
  if (!file) return;
  let pixels;
  try { pixels = await createImageBitmap(file); } catch {
    element("answered").textContent = `${file.name}: this browser cannot read it; try a PNG or a JPEG`;
    return;
  }
  clearInput();
  given = { file, pixels };
  const canvas = element("picture");
  Object.assign(canvas, { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").drawImage(pixels, 0, 0);
  showInput();
  readInput();
}

/** The file as it is. If the server would not take it, or if it is inverted: a PNG of it, made smaller if it is large. */
async function pictureToSend() {
  const { file, pixels } = given, { most_bytes: mostBytes, most_pixels: mostPixels } = about.limits;
  const inverted = isInk() && element("invert").checked;
  if (!inverted && SENT.includes(file.type) && file.size <= mostBytes && pixels.width * pixels.height <= mostPixels) return file;
  const scale = Math.min(1, REDUCED / Math.max(pixels.width, pixels.height));
  const small = new OffscreenCanvas(Math.max(1, Math.round(scale * pixels.width)), Math.max(1, Math.round(scale * pixels.height)));
  const context = small.getContext("2d");
  Object.assign(context, { imageSmoothingQuality: "high", filter: inverted ? "invert(1)" : "none" });
  context.drawImage(pixels, 0, 0, small.width, small.height);
  return small.convertToBlob({ type: "image/png" });
}

function clearInput() {
  given = null;
  drawn = false;
  element("file").value = "";
  ink.clearRect(0, 0, pad.width, pad.height);
  for (const id of ["seen", "rebuilt"]) element(id).getContext("2d").clearRect(0, 0, element(id).width, element(id).height);
  for (const id of ["own", "bar", "start"]) element(id).hidden = true;
  element("total").textContent = "";
  element("parts").replaceChildren();
  showInput();
}

/** Ask the model about the picture or the drawing, and show what it gets and what it answers. */
const readInput = latest(async () => {
  if (!about?.model || !(given || (drawn && isInk()))) return;
  const asked = given ?? drawn, small = given ? null : shrink();
  const sent = picture(await (small ? small.convertToBlob({ type: "image/png" }) : pictureToSend()));
  const [seen, rebuilt, score, encoded] = await Promise.all([
    small ?? requestPicture("/fit", sent), requestPicture("/reconstruct", sent), requestJson("/score", sent), requestJson("/encode", sent),
  ]);
  if (asked !== (given ?? drawn)) return;
  paint(element("seen"), seen);
  paint(element("rebuilt"), rebuilt);
  showScore(score);
  showOwn(encoded.z_mean[0]);
});

// ---- drawing -------------------------------------------------------------------------------------------------------

const pad = element("pad"), ink = pad.getContext("2d", { willReadFrequently: true });
let stroke = null, drawn = false, own = null;

function draw(event) {
  const box = pad.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * pad.width;
  const y = ((event.clientY - box.top) / box.height) * pad.height;
  Object.assign(ink, { lineWidth: BRUSH * pad.width, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  ink.beginPath();
  ink.moveTo(...(stroke ?? [x, y]));
  ink.lineTo(x, y);
  ink.stroke();
  stroke = [x, y];
  drawn = true;
  readInput();
}

/** The box and the centre of mass of the ink on the pad; null if there is no ink. */
function measureInk() {
  const { data } = ink.getImageData(0, 0, pad.width, pad.height);
  let left = pad.width, right = -1, top = pad.height, bottom = -1, mass = 0, sumX = 0, sumY = 0;
  for (let y = 0; y < pad.height; y++) {
    for (let x = 0; x < pad.width; x++) {
      const weight = data[4 * (y * pad.width + x) + 3];
      if (!weight) continue;
      left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
      mass += weight; sumX += weight * x; sumY += weight * y;
    }
  }
  return mass ? { left, top, width: right - left + 1, height: bottom - top + 1, x: sumX / mass, y: sumY / mass } : null;
}

/** The drawing in the size of the model's images. If "centre" is checked, it is scaled and centred as in MNIST. */
function shrink() {
  const { width, height } = about.image, side = Math.min(width, height);
  const small = new OffscreenCanvas(width, height), context = small.getContext("2d");
  context.fillRect(0, 0, width, height);
  const found = element("centre").checked ? measureInk() : null;
  const scale = found ? (INK_SHARE * side) / Math.max(found.width, found.height) : width / pad.width;
  const halved = halve(pad, scale);
  const [x, y] = found ? [width / 2 - scale * found.x, height / 2 - scale * found.y] : [0, 0];
  Object.assign(context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
  context.drawImage(halved, x, y, scale * pad.width, scale * pad.height);
  return small;
}

/** Halve the size until it is at most twice the final size: browsers do not smooth larger steps. */
function halve(source, scale) {
  let canvas = source, { width, height } = source;
  while (width > 2 * scale * source.width && width > 2 * about.image.width) {
    const next = new OffscreenCanvas(width / 2, height / 2), context = next.getContext("2d");
    context.drawImage(canvas, 0, 0, width / 2, height / 2);
    canvas = next;
    width /= 2;
    height /= 2;
  }
  return canvas;
}

function showScore(found) {
  const [reconstruction] = found.reconstruction, kl = found.kl?.[0], total = found.neg_elbo?.[0] ?? reconstruction;
  const usual = about.figures[found.neg_elbo ? "neg_elbo" : "reconstruction"];
  const strong = document.createElement("strong");
  strong.textContent = total.toFixed(1);
  element("total").replaceChildren(found.neg_elbo ? "−ELBO " : "−log p(x|z) ", strong, " nats");
  const rows = [["reconstruction", "reconstruction", reconstruction]];
  if (kl !== undefined) rows.push(["kl", about.has_codes ? "codes" : "KL", kl]);
  if (usual !== undefined) rows.push(["usual", "test set, mean", usual]);
  element("parts").replaceChildren(...rows.flatMap(([kind, name, value]) => {
    const term = document.createElement("dt"), number = document.createElement("dd");
    term.className = kind;
    term.textContent = name;
    number.textContent = value.toFixed(1);
    return [term, number];
  }));
  const most = 1.15 * Math.max(total, usual ?? 0, 1), width = (value) => `${(100 * value) / most}%`;
  element("bar").hidden = reconstruction < 0 || (kl ?? 0) < 0;
  element("bar-reconstruction").style.width = width(reconstruction);
  element("bar-kl").style.width = width(kl ?? 0);
  element("usual").hidden = usual === undefined;
  element("usual").style.left = width(usual ?? 0);
}

/** Mark the place of the drawing in the plane, if the plane contains it. */
function showOwn(z) {
  own = z;
  element("start").hidden = !about.axes.length;
  if (!about.axes.length) return;
  const [across, up] = shown(), x = share(across, z[across.index]), y = up ? 1 - share(up, z[up.index]) : 0.5;
  element("own").hidden = x < 0 || x > 1 || y < 0 || y > 1;
  place(element("own"), x, y);
}

// ---- samples -------------------------------------------------------------------------------------------------------

const drawSamples = latest(async () => {
  const { height, width } = about.image, count = Math.min(MOST_SAMPLES, about.limits.most_images);
  const labelQuery = about.is_conditional ? `&label=${label}` : "";
  const sheet = await requestPicture(`/sample?n=${count}&seed=${seed}&temperature=${element("temperature").value}${labelQuery}`);
  const columns = Math.ceil(Math.sqrt(count)), fitting = Math.floor(element("samples").clientWidth / Math.max(NARROWEST, width));
  const rows = Math.ceil(count / Math.max(1, fitting)), across = Math.ceil(count / rows);
  const strip = new OffscreenCanvas(width * across, height * rows), context = strip.getContext("2d");
  for (let row = 0; row < count; row++) {
    const from = [(row % columns) * width, Math.floor(row / columns) * height];
    context.drawImage(sheet, ...from, width, height, (row % across) * width, Math.floor(row / across) * height, width, height);
  }
  Object.assign(element("samples"), { width: 3 * strip.width, height: 3 * strip.height });
  paint(element("samples"), strip);
});

/** Draw an image: ink in a warm light on the dark ground, dimmed by `strength`; other images as they are. */
function paint(canvas, source, strength = 1) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  if (!isInk()) return;
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let place = 0; place < pixels.data.length; place += 4) {
    const light = (strength * pixels.data[place]) / 255;
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[place + channel] = DARK[channel] + light * (LIGHT[channel] - DARK[channel]);
    }
    pixels.data[place + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

// ---- pointer and keyboard ------------------------------------------------------------------------------------------

function hold(canvas, move, end = () => {}) {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) move(event);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end);
}

hold(element("plane"), (event) => {
  const box = element("plane").getBoundingClientRect();
  if (about?.model) goTo((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});
hold(pad, draw, () => { stroke = null; });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
element("plane").addEventListener("keydown", (event) => {
  const step = ARROWS[event.key];
  if (!step || !about?.model) return;
  event.preventDefault();
  const [across, up] = shown();
  goTo(share(across, latents[across.index]) + 0.02 * step[0], (up ? 1 - share(up, latents[up.index]) : 0.5) + 0.02 * step[1]);
});
element("clear").addEventListener("click", clearInput);
element("file").addEventListener("change", () => take(element("file").files[0]));
element("invert").addEventListener("change", () => readInput());
for (const name of ["dragover", "dragleave", "drop"]) {
  element("draw-panel").addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}
element("start").addEventListener("click", () => {
  latents = [...own];
  if (about.label_dim) label = own.slice(-about.label_dim).indexOf(1);
  showClasses();
  showSliders();
  drawPlane();
  choose();
});
element("centre").addEventListener("change", () => readInput());
element("again").addEventListener("click", () => { seed += 1; drawSamples(); });
element("temperature").addEventListener("input", () => {
  element("warmth").textContent = Number(element("temperature").value).toFixed(2);
  drawSamples();
});

checkModel();
setInterval(checkModel, CHECK_INTERVAL);
