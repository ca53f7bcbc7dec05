// How long it will take: asked from the server for all pictures that have not been started.
import { estimate } from "../api.js";

/** Milliseconds without a change of pictures or options before the server is asked. */
const REST = 200;
/** Milliseconds until it is asked again if it does not know yet. */
const AGAIN = 2000;

/** Keeps `result` and `seconds` of the pictures that are ready; `onTotal` is called with the sum when it changes. */
export class Estimates {
  #items;
  #options;
  #onTotal;
  #timer = null;
  #running = null;
  #asked = "";

  constructor(items, options, onTotal) {
    this.#items = items;
    this.#options = options;
    this.#onTotal = onTotal;
    for (const event of ["add", "change", "remove"]) items.addEventListener(event, () => this.#later(REST));
    options.addEventListener("change", () => this.#later(REST));
  }

  #later(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), milliseconds);
  }

  async #ask() {
    const ready = this.#items.all("ready");
    const known = ready.filter((item) => item.size);
    const sizes = [...new Map(known.map((item) => [String(item.size), item.size])).values()];
    const options = this.#options.fields;
    const question = JSON.stringify([known.map((item) => item.key), sizes, options, ready.length]);
    if (question === this.#asked) return;
    this.#asked = question;
    this.#running?.abort();
    if (!sizes.length) {
      this.#options.complain("");
      this.#onTotal({ seconds: null, unknown: ready.length });
      return;
    }
    this.#running = new AbortController();
    try {
      const answer = await estimate(sizes, options, this.#running.signal);
      this.#options.complain("");
      this.#take(known, sizes, answer, ready.length - known.length);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#options.complain(error.status === 422 ? error.message : "");
      for (const item of known) this.#items.change(item, { result: null, seconds: null });
      this.#onTotal({ seconds: null, unknown: 0, wrong: error.status === 422 });
      if (error.status === 422) return;
      this.#asked = "";
      this.#later(AGAIN);
    }
  }

  #take(known, sizes, answer, unknown) {
    const bySize = new Map(sizes.map((size, index) => [String(size), answer.pictures[index]]));
    let seconds = answer.queue_seconds ?? 0;
    for (const item of known) {
      const found = bySize.get(String(item.size));
      seconds += found.seconds ?? NaN;
      this.#items.change(item, { result: found.new_size, seconds: found.seconds });
    }
    const later = Number.isNaN(seconds); // the server is still measuring its speed
    this.#onTotal({ seconds: later ? null : seconds, unknown, later });
    if (!later) return;
    this.#asked = "";
    this.#later(AGAIN);
  }
}
