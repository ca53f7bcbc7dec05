// Cuts a picture into tiles, hands them to workers, and draws the results as they arrive.
"use strict";
const TILE = 128; // side of what a tile provides, in pixels of the picture
const HALO = 16; // by which a tile extends beyond it: what lies farther away has no visible effect
const LARGEST = 16384 * 8192; // pixels of a canvas that browsers support
const $ = (id) => document.getElementById(id);
const parts = {}; // name -> Uint8Array, put here by the scripts that hold files
let run = 0; // number of the latest picture; work for earlier ones is dropped
let workers = [];

globalThis.part = (name, text) => {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  parts[name] = bytes;
};

// Files are scripts with base64 text, so that the page also works when it is opened from a disk.
async function file(name) {
  if (!parts[name]) {
    await new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = `files/${name}.js`;
      script.onload = done;
      script.onerror = () => fail(new Error(`files/${name}.js is missing`));
      document.head.append(script);
    });
  }
  return parts[name];
}

async function engine() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter ? "webgpu" : "wasm";
}

async function start(kind, network, count) {
  const code = await file(`${kind}-code`);
  const wasm = await file(`${kind}-wasm`);
  const weights = await file(network);
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const made = Array.from({ length: count }, () => new Worker(url));
  try {
    await Promise.all(made.map((worker) => answer(worker, { wasm, network: weights, engine: kind })));
  } catch (error) {
    made.forEach((worker) => worker.terminate());
    throw error;
  }
  return made;
}

function answer(worker, message) {
  return new Promise((done, fail) => {
    worker.onmessage = ({ data }) => (data.failed ? fail(new Error(data.failed)) : done(data));
    worker.onerror = (event) => fail(new Error(event.message || "a worker failed"));
    worker.postMessage(message);
  });
}

function tiles(width, height) {
  const found = [];
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) {
      const right = Math.min(left + TILE, width), bottom = Math.min(top + TILE, height);
      const x = Math.max(0, left - HALO), y = Math.max(0, top - HALO);
      const wide = Math.min(right + HALO, width) - x, high = Math.min(bottom + HALO, height) - y;
      found.push({ left, top, right, bottom, x, y, wide, high });
    }
  }
  return found;
}

function drawn(canvas, picture, width, height) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context;
}

async function upscale(picture, name) {
  const own = ++run;
  stop();
  const scale = Number(new FormData($("options")).get("scale"));
  const network = `${new FormData($("options")).get("kind")}x${scale}`;
  const { width, height } = picture;
  if (scale * scale * width * height > LARGEST) throw new Error(`${name} is too large for x${scale} in a browser`);
  $("work").hidden = false;
  $("save").hidden = true;
  $("stop").hidden = false;
  $("progress").value = 0;
  say("loading the network ...");
  drawn($("before"), picture, scale * width, scale * height);
  const target = drawn($("after"), picture, scale * width, scale * height);
  const source = drawn(document.createElement("canvas"), picture, width, height);
  const queue = tiles(width, height);
  const total = queue.length;
  let kind = await engine();
  const count = Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1 || 1, total));
  let made;
  try {
    made = await start(kind, network, kind === "wasm" ? count : 1);
  } catch (error) {
    if (kind === "wasm") throw error;
    kind = "wasm";
    made = await start(kind, network, count);
  }
  if (own !== run) return made.forEach((worker) => worker.terminate());
  workers = made;
  $("engine").textContent = kind === "wasm" ? `the processor (workers: ${made.length})` : "the graphics processor (WebGPU)";
  const begun = performance.now();
  let done = 0;
  await Promise.all(made.map(async (worker) => {
    for (let tile; own === run && (tile = queue.shift()); ) {
      const { data } = source.getImageData(tile.x, tile.y, tile.wide, tile.high);
      const got = await answer(worker, { pixels: data, width: tile.wide, height: tile.high, tile });
      if (own !== run) return;
      put(target, got, scale);
      $("progress").value = ++done / total;
      say(`${done} of ${total} tiles`);
    }
  }));
  if (own !== run) return;
  stop();
  say(`${width}x${height} to ${scale * width}x${scale * height} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const blob = await new Promise((ready) => $("after").toBlob(ready, "image/png"));
  if (!blob) throw new Error("the browser cannot store a picture of this size");
  URL.revokeObjectURL($("save").href);
  $("save").href = URL.createObjectURL(blob);
  $("save").download = `${name.replace(/\.[^.]*$/, "")}_x${scale}.png`;
  $("save").hidden = false;
}

// Draws what a tile provides; transparency stays that of the enlarged picture.
function put(target, { tile, result, width, height }, scale) {
  const left = scale * tile.left, top = scale * tile.top;
  const wide = scale * (tile.right - tile.left), high = scale * (tile.bottom - tile.top);
  const under = target.getImageData(left, top, wide, high);
  const dx = scale * (tile.left - tile.x), dy = scale * (tile.top - tile.y);
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      const from = 4 * ((row + dy) * width + column + dx), to = 4 * (row * wide + column);
      for (let c = 0; c < 3; c++) under.data[to + c] = result[from + c];
    }
  }
  target.putImageData(under, left, top);
}

function stop() {
  workers.forEach((worker) => worker.terminate());
  workers = [];
  $("stop").hidden = true;
}

function say(text) {
  $("status").textContent = text;
}

async function take(chosen) {
  if (!chosen) return;
  try {
    const picture = await createImageBitmap(chosen).catch(() => {
      throw new Error(`${chosen.name} is not a picture that this browser can read`);
    });
    await upscale(picture, chosen.name);
  } catch (error) {
    stop();
    $("work").hidden = false;
    say(error.message);
  }
}

$("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";
});
$("stop").addEventListener("click", () => {
  run++;
  stop();
  say("stopped");
});
$("split").addEventListener("input", (event) => $("view").style.setProperty("--split", `${event.target.value}%`));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", () => $("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => take(event.clipboardData.files[0]));
