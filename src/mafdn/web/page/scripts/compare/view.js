// The dialog that compares a result with bicubic interpolation.
import { resultAddress } from "../api.js";
import { find, oncePerFrame, show } from "../dom.js";
import { percent, pixels, zoomPercent } from "../numbers.js";
import { say } from "../say.js";
import { recall, remember } from "../storage.js";
import { draw, GAP } from "./draw.js";
import { followDrag, followGestures, STEP } from "./gestures.js";
import { Tiles } from "./tiles.js";
import { Viewport } from "./viewport.js";
import { verification, weights } from "./words.js";

/** Share of the width by which an arrow key moves the divider, and with the shift key. */
const NUDGES = [0.02, 0.1];
/** Share of the pane by which an arrow key moves the picture. */
const PAN = 0.15;
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Compares pictures that are done, one at a time. */
export class Compare {
  #items;
  #item = null;
  #tiles = null;
  #viewport = new Viewport();
  #position = 0.5;
  #mode = recall("compare") === "sides" ? "sides" : "slider";
  #dialog = find("compare");
  #stage = find("stage");
  #canvas = find("stage-canvas");
  #divider = find("divider");
  #refresh = oncePerFrame(() => this.#draw());

  constructor(items) {
    this.#items = items;
    items.addEventListener("remove", ({ detail }) => detail === this.#item && this.#dialog.close());
    new ResizeObserver(() => this.#resize()).observe(this.#stage);
    this.#dialog.addEventListener("close", () => this.#closed());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    const click = (id, action) => find(id).addEventListener("click", action);
    click("compare-close", () => this.#dialog.close());
    click("compare-previous", () => this.#step(-1));
    click("compare-next", () => this.#step(1));
    click("zoom-in", () => this.#zoom(STEP));
    click("zoom-out", () => this.#zoom(1 / STEP));
    click("zoom-fit", () => this.#zoomTo(this.#viewport.fitting));
    click("zoom-value", () => this.#zoomTo(1));
    for (const input of find("compare-modes").querySelectorAll("input")) {
      input.checked = input.value === this.#mode;
      input.addEventListener("change", () => this.#setMode(input.value));
    }
    followDrag(this.#divider, this.#stage, (share) => this.#moveTo(share));
    followGestures(this.#canvas, {
      pan: (dx, dy) => this.#pan(dx * this.#density, dy * this.#density),
      zoom: (factor, x, y) => this.#zoom(factor, ...this.#inPane(x, y)),
      toggle: (x, y) => this.#zoomTo(this.#viewport.zoom === 1 ? this.#viewport.fitting : 1, ...this.#inPane(x, y)),
    });
  }

  /** Open the dialog with a picture that is done. */
  open(item) {
    this.#position = 0.5;
    this.#show(item);
    if (this.#dialog.open) return;
    this.#dialog.showModal();
    this.#setMode(this.#mode);
    (this.#mode === "slider" ? this.#divider : this.#canvas).focus();
  }

  get #density() {
    return window.devicePixelRatio || 1;
  }

  #show(item) {
    const { job, name, size, result } = item;
    this.#item = item;
    this.#tiles?.close();
    this.#tiles = new Tiles(job, result, {
      onLoad: this.#refresh,
      onError: (error) => this.#tell(say("compare.failed", { error: error.message }), "failed"),
    });
    this.#viewport.show(result);
    find("compare-name").textContent = name;
    find("compare-sizes").textContent = say("compare.sizes", { size: pixels(size), result: pixels(result) });
    find("compare-download").setAttribute("href", resultAddress(job.id));
    show(find("compare-why"), weights(job));
    show(find("compare-figures"), verification(job));
    this.#tell(say("compare.loading"), "loading");
    const done = this.#items.all("done");
    for (const id of ["compare-previous", "compare-next"]) find(id).hidden = done.length < 2;
    this.#refresh();
  }

  #closed() {
    this.#tiles?.close();
    this.#tiles = this.#item = null;
    this.#viewport = new Viewport();
    this.#resize();
  }

  /** Go to the next or the previous picture that is done, around the ends. */
  #step(by) {
    const done = this.#items.all("done");
    const next = done.at((done.indexOf(this.#item) + by) % done.length);
    if (next && next !== this.#item) this.#show(next);
  }

  #setMode(mode) {
    this.#mode = mode;
    remember("compare", mode);
    this.#stage.dataset.mode = mode;
    this.#divider.hidden = mode !== "slider";
    this.#resize();
  }

  #resize() {
    const { width, height } = this.#stage.getBoundingClientRect();
    if (!width || !height) return;
    this.#canvas.width = Math.round(width * this.#density);
    this.#canvas.height = Math.round(height * this.#density);
    const pane = this.#mode === "sides" ? Math.floor((this.#canvas.width - GAP) / 2) : this.#canvas.width;
    this.#viewport.resize([pane, this.#canvas.height], this.#density);
    this.#draw();
  }

  /** A point of the canvas in CSS pixels as one of its pane, of which there are two side by side. */
  #inPane(x, y) {
    const [pane] = this.#viewport.pane;
    const at = x * this.#density;
    return [this.#mode === "sides" && at > pane + GAP ? at - pane - GAP : at, y * this.#density];
  }

  #pan(dx, dy) {
    this.#viewport.pan(dx, dy);
    this.#refresh();
  }

  #zoom(factor, x, y) {
    this.#zoomTo(this.#viewport.zoom * factor, x, y);
  }

  #zoomTo(zoom, x, y) {
    this.#viewport.zoomTo(Math.abs(zoom - 1) < 0.01 ? 1 : zoom, x, y);
    this.#refresh();
  }

  /** Move the divider to a share of the stage; its position counts within what is seen of the picture. */
  #moveTo(share) {
    const [left, , right] = this.#viewport.covered;
    this.#setPosition((share * this.#canvas.width - left) / (right - left));
  }

  #setPosition(position) {
    this.#position = Math.min(1, Math.max(0, position));
    this.#refresh();
  }

  #key(event) {
    const onPicture = event.target === this.#canvas || event.target === this.#divider;
    if (event.altKey || event.ctrlKey || event.metaKey || !this.#pressed(event, onPicture)) return;
    event.preventDefault();
  }

  /** Do what a key means; returns whether it means something. */
  #pressed({ key, shiftKey, target }, onPicture) {
    if (key === "+" || key === "=") this.#zoom(STEP);
    else if (key === "-") this.#zoom(1 / STEP);
    else if (key === "0") this.#zoomTo(this.#viewport.fitting);
    else if (key === "1") this.#zoomTo(1);
    else if (key === "PageUp") this.#step(-1);
    else if (key === "PageDown") this.#step(1);
    else if (!onPicture) return false;
    else if (key === "Home") this.#setPosition(0);
    else if (key === "End") this.#setPosition(1);
    else if (!(key in ARROWS)) return false;
    else if (target === this.#divider) {
      const back = key === "ArrowLeft" || key === "ArrowDown";
      this.#setPosition(this.#position + (back ? -1 : 1) * NUDGES[Number(shiftKey)]);
    } else {
      this.#pan(...ARROWS[key].map((part, axis) => part * PAN * this.#viewport.pane[axis]));
    }
    return true;
  }

  #draw() {
    if (!this.#tiles || !this.#dialog.open) return;
    const viewport = this.#viewport;
    const [left, , right] = viewport.covered;
    const divider = left + (right - left) * this.#position;
    const slider = this.#mode === "slider";
    draw(this.#canvas, viewport, this.#tiles.view(viewport.seen, viewport.zoom), slider ? Math.round(divider) : null);
    this.#divider.style.left = `${divider / this.#density}px`;
    this.#describe();
  }

  /** Show a message in the stage, whose kind is loading or failed; an empty one hides it. */
  #tell(message, kind = "") {
    const element = find("stage-message");
    element.dataset.kind = kind;
    show(element, message);
  }

  #describe() {
    const { kind } = find("stage-message").dataset;
    if (kind === "loading" && this.#tiles.whole) this.#tell("");
    const zoom = zoomPercent(this.#viewport.zoom);
    const value = find("zoom-value");
    if (value.textContent !== zoom) {
      value.textContent = zoom;
      value.title = say("compare.actual", { percent: zoom });
      this.#canvas.setAttribute("aria-label", say("compare.stage", { name: this.#item.name, percent: zoom }));
    }
    const shown = { percent: percent(this.#position), rest: percent(1 - this.#position) };
    this.#divider.setAttribute("aria-valuenow", String(Math.round(this.#position * 100)));
    this.#divider.setAttribute("aria-valuetext", say("compare.divided", shown));
  }
}
