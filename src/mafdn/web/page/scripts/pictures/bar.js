// The bar at the bottom: how much is to be done, how far it is, and what can be done with all.
import { zipAddress } from "../api.js";
import { find, oncePerFrame, show } from "../dom.js";
import { about, percent } from "../numbers.js";
import { say } from "../say.js";
import { canRetry, isBusy } from "./items.js";

/** Longest address of a zip file that every proxy takes; with more results it holds all results of the server. */
const LONGEST_ADDRESS = 4000;

/** Shows the bar; `total` takes the estimate of what has not been started. */
export class Bar {
  #items;
  #estimate = { seconds: null, unknown: 0 };
  #refresh = oncePerFrame(() => this.#show());
  /** Busy pictures and those that ended since nothing was busy: what the overall progress is of. */
  #batch = new Set();

  constructor(items, queue) {
    this.#items = items;
    for (const event of ["add", "change", "remove"]) items.addEventListener(event, this.#refresh);
    find("start").addEventListener("click", () => {
      queue.start();
      find("pictures-title").focus({ preventScroll: true });
    });
    find("cancel-all").addEventListener("click", () => queue.cancelAll());
    find("retry-all").addEventListener("click", () => queue.retryAll());
  }

  /** Take over the estimate of all pictures that are ready. */
  total(estimate) {
    this.#estimate = estimate;
    this.#refresh();
  }

  #show() {
    const all = this.#items.all();
    const ready = this.#items.all("ready");
    const busy = all.filter(isBusy);
    const done = this.#items.all("done");
    find("bar").hidden = !all.length;
    document.body.classList.toggle("with-bar", all.length > 0);

    const start = find("start");
    start.hidden = !ready.length;
    start.disabled = Boolean(this.#estimate.wrong);
    start.textContent = say("bar.start", { count: ready.length });
    find("cancel-all").hidden = !busy.length;
    find("retry-all").hidden = this.#items.all("failed").filter(canRetry).length < 2;
    const zip = find("zip");
    zip.hidden = done.length < 2;
    zip.textContent = say(busy.length ? "bar.zip.finished" : "bar.zip", { count: done.length });
    zip.classList.toggle("quiet", ready.length > 0 || busy.length > 0);
    if (!zip.hidden) zip.setAttribute("href", this.#zipAddress(done));

    const share = this.#progress(all, busy);
    const overall = find("overall");
    overall.hidden = !busy.length;
    overall.value = share;
    document.title = say("page.title");
    if (busy.length) {
      document.title = say("page.title.working", { percent: percent(share) });
      this.#showWork(busy);
    } else if (ready.length) {
      this.#showEstimate(ready);
    } else {
      this.#showEnd(done);
    }
  }

  #zipAddress(done) {
    const address = zipAddress(done.map((item) => item.job.id));
    return address.length > LONGEST_ADDRESS ? zipAddress([]) : address;
  }

  /** The share of the batch that is done, by pixels of the results. */
  #progress(all, busy) {
    if (!busy.length) this.#batch.clear();
    for (const item of busy) this.#batch.add(item);
    let sum = 0;
    let part = 0;
    for (const item of all) {
      if (!this.#batch.has(item) || item.state === "canceled") continue;
      const weight = item.result ? item.result[0] * item.result[1] : 1e6;
      sum += weight;
      part += weight * (isBusy(item) ? item.progress : 1);
    }
    return sum ? part / sum : 0;
  }

  #showWork(busy) {
    const counted = [...this.#batch].filter((item) => this.#items.has(item) && item.state !== "canceled");
    const ended = counted.filter((item) => !isBusy(item));
    find("bar-count").textContent = say("bar.working", { done: ended.length, count: counted.length });
    const times = busy.map(
      (item) => item.left ?? (item.state === "waiting" || item.state === "uploading" ? item.seconds : null),
    );
    const known = times.every((time) => time !== null);
    // A job's time includes that of those before it; what has not been sent comes after them.
    const queued = Math.max(0, ...busy.map((item) => item.left ?? 0));
    const later = busy.reduce((total, item) => total + (item.left === null ? (item.seconds ?? 0) : 0), 0);
    show(find("bar-time"), known ? say("bar.left", { time: about(queued + later) }) : "");
  }

  #showEstimate(ready) {
    find("bar-count").textContent = say("bar.ready", { count: ready.length });
    const { seconds, unknown, later } = this.#estimate;
    const parts = [];
    if (later) parts.push(say("bar.estimating"));
    if (seconds !== null) parts.push(say("bar.estimate", { time: about(seconds) }));
    if (unknown) parts.push(say("bar.unknown", { count: unknown }));
    show(find("bar-time"), parts.join(", "));
  }

  #showEnd(done) {
    const failed = this.#items.all("failed");
    find("bar-count").textContent = say("bar.done", { count: done.length });
    show(find("bar-time"), failed.length ? say("bar.failed", { count: failed.length }) : "");
  }
}
