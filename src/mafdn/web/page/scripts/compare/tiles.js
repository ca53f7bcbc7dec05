// Parts of the bicubic enlargement and of the result, fetched as they are seen.
import { fetchPicture, previewAddress } from "../api.js";

/** Side of a tile in pixels. */
const SIDE = 512;
/** Largest window that the server answers; pictures reduced to it are kept whole, as what is seen before the tiles. */
const LARGEST = 1024;
/** Tiles that are kept, some 170 MB; more only if all are on the screen. */
const MOST_TILES = 160;
/** Requests at a time. Browsers allow six to a server, of which one is for events. */
const MOST_REQUESTS = 4;
/** Strongest reduction that the server offers. */
const MOST_REDUCED = 64;

/** The tiles of the result of a job; `onLoad` is called when one has come, `onError` with an error. */
export class Tiles {
  #job;
  #size;
  #base;
  #onLoad;
  #onError;
  #kept = new Map();
  #wanted = [];
  #running = new Map();
  #closed = false;

  constructor(job, size, { onLoad, onError }) {
    this.#job = job;
    this.#size = size;
    this.#onLoad = onLoad;
    this.#onError = onError;
    this.#base = 1;
    while (Math.max(...size) / this.#base > LARGEST && this.#base < MOST_REDUCED) this.#base *= 2;
  }

  /** Stop all requests and free all tiles. */
  close() {
    this.#closed = true;
    for (const controller of this.#running.values()) controller.abort();
    for (const bitmap of this.#kept.values()) bitmap?.close();
    this.#kept.clear();
  }

  /**
   * The tiles to draw of both sides for the part `seen` at `zoom`, those below others first.
   *
   * Each has which (before or after), bitmap, and the edges left, top, right and bottom in the picture. What is missing
   * is asked for, that in the middle first, and comes with a later call.
   */
  view(seen, zoom) {
    const level = Math.min(this.#base, 2 ** Math.max(0, Math.floor(Math.log2(1 / zoom) + 1e-6)));
    const wanted = [...this.#whole()];
    if (level < this.#base) wanted.push(...this.#grid(seen, level));
    const found = [];
    for (const tile of wanted) {
      const bitmap = this.#kept.get(tile.key);
      if (!bitmap) continue;
      this.#kept.delete(tile.key); // the last are those that were used last
      this.#kept.set(tile.key, bitmap);
      found.push({ ...tile, bitmap });
    }
    this.#ask(wanted);
    this.#forget(wanted.length);
    return found;
  }

  /** Whether the whole picture is there on both sides, at least reduced. */
  get whole() {
    return this.#whole().every((tile) => this.#kept.has(tile.key));
  }

  /** The whole picture on both sides, reduced; a few tiles where even the strongest reduction is too large for one. */
  #whole() {
    return this.#grid([0, 0, ...this.#size], this.#base, LARGEST);
  }

  #grid([left, top, right, bottom], reduce, side = SIDE) {
    const step = side * reduce;
    const middle = [(left + right) / 2, (top + bottom) / 2];
    const tiles = [];
    for (let y = Math.floor(top / step) * step; y < bottom; y += step) {
      for (let x = Math.floor(left / step) * step; x < right; x += step) {
        const edges = {
          left: x,
          top: y,
          right: Math.min(this.#size[0], x + step),
          bottom: Math.min(this.#size[1], y + step),
        };
        const far = Math.hypot(x + step / 2 - middle[0], y + step / 2 - middle[1]);
        for (const which of ["after", "before"])
          tiles.push({ which, reduce, far, key: `${which} ${reduce} ${x} ${y}`, ...edges });
      }
    }
    return tiles.sort((a, b) => a.far - b.far);
  }

  #ask(wanted) {
    const keys = new Set(wanted.map((tile) => tile.key));
    for (const [key, controller] of this.#running) if (!keys.has(key)) controller.abort();
    this.#wanted = wanted.filter((tile) => !this.#kept.has(tile.key) && !this.#running.has(tile.key));
    while (this.#running.size < MOST_REQUESTS && this.#wanted.length) this.#load(this.#wanted.shift());
  }

  async #load({ key, which, reduce, left, top, right, bottom }) {
    const controller = new AbortController();
    this.#running.set(key, controller);
    const window = {
      x: left / reduce,
      y: top / reduce,
      width: Math.ceil((right - left) / reduce),
      height: Math.ceil((bottom - top) / reduce),
      reduce,
    };
    try {
      const bitmap = await fetchPicture(previewAddress(this.#job, which, window), controller.signal);
      if (this.#closed) bitmap.close();
      else this.#kept.set(key, bitmap);
    } catch (error) {
      if (error.name !== "AbortError" && !this.#closed) {
        this.#kept.set(key, null); // not asked for again until it is forgotten
        this.#onError(error);
      }
    }
    this.#running.delete(key);
    if (!this.#closed) this.#onLoad();
  }

  #forget(needed) {
    const most = Math.max(MOST_TILES, needed * 2);
    for (const [key, bitmap] of this.#kept) {
      if (this.#kept.size <= most) return;
      bitmap?.close();
      this.#kept.delete(key);
    }
  }
}
