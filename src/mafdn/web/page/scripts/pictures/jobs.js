// From the server to the page: what jobs say about themselves, now and in events.
import { eventsAddress } from "../api.js";
import { announce, find, show } from "../dom.js";
import { enter } from "../entry.js";
import { say } from "../say.js";

/** Seconds between attempts to connect, which grow up to the second number. */
const PAUSES = [1, 15];

/** Keeps items like the jobs of the server; says "open" whenever the connection for events is there (again). */
export class Jobs extends EventTarget {
  #items;
  #sending = 0;
  #unknown = new Map();
  #ignored = new Set();
  #source = null;
  #pause = PAUSES[0];
  #lost = false;

  constructor(items) {
    super();
    this.#items = items;
  }

  /** Follow the events of the server, for as long as the page is open. */
  follow() {
    const source = new EventSource(eventsAddress());
    this.#source = source;
    source.addEventListener("open", () => this.#opened());
    source.addEventListener("snapshot", ({ data }) => this.#compare(JSON.parse(data).jobs));
    source.addEventListener("job", ({ data }) => this.apply(JSON.parse(data)));
    source.addEventListener("progress", ({ data }) => this.#progress(JSON.parse(data)));
    source.addEventListener("removed", ({ data }) => this.#removed(JSON.parse(data).id));
    source.addEventListener("error", () => {
      this.#lost = true;
      show(find("connection"), say("page.offline"));
      if (source.readyState === EventSource.CLOSED) this.#again(); // elsewhere the browser tries again by itself
    });
  }

  /** Whether there is a connection for events, as far as is known. */
  get connected() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  /** Wait for the answer to a picture that is being sent, and keep events of unknown jobs until then. */
  async whileSending(promise) {
    this.#sending += 1;
    try {
      return await promise;
    } finally {
      this.#sending -= 1;
      setTimeout(() => this.#release()); // after the answer has been taken over
    }
  }

  /** Take over what the server says of a job; `item` is the picture that it is of, if it has not been named before. */
  apply(job, item = this.#items.ofJob(job.id)) {
    if (!item) {
      if (this.#ignored.has(job.id)) return;
      if (this.#sending) this.#unknown.set(job.id, job);
      else this.#items.add(described(job));
      return;
    }
    const before = item.state;
    this.#items.change(item, described(job));
    if (before !== item.state) this.#announce(item);
  }

  /** Take no notice of a job from now on. */
  ignore(job) {
    this.#unknown.delete(job.id);
    this.#ignored.add(job.id);
  }

  /** The server does not know a picture any more. */
  lose(item) {
    const error = say(item.file ? "row.lost" : "row.lost.file");
    this.#items.change(item, { state: "failed", job: null, error });
  }

  #opened() {
    this.#pause = PAUSES[0];
    if (this.#lost) announce("page.online");
    this.#lost = false;
    show(find("connection"), "");
    this.dispatchEvent(new Event("open"));
  }

  /** Compare with the whole list, which comes first, and again if events were missed. */
  #compare(jobs) {
    const known = new Set(jobs.map((job) => job.id));
    for (const job of jobs) this.apply(job);
    for (const item of this.#items.all()) if (item.job && !known.has(item.job.id)) this.lose(item);
  }

  #progress({ id, progress, eta_seconds: left }) {
    const item = this.#items.ofJob(id);
    if (item) this.#items.change(item, { progress, left });
  }

  async #again() {
    this.#source.close();
    await new Promise((resolve) => setTimeout(resolve, this.#pause * 1000));
    this.#pause = Math.min(PAUSES[1], this.#pause * 2);
    await enter(); // a server that was started again may ask for another token
    this.follow();
  }

  #removed(id) {
    const item = this.#items.ofJob(id);
    if (item) this.#items.remove(item);
  }

  #release() {
    if (this.#sending) return;
    const jobs = [...this.#unknown.values()];
    this.#unknown.clear();
    for (const job of jobs) this.apply(job);
  }

  #announce(item) {
    if (item.state === "done") announce("said.done", { name: item.name });
    if (item.state === "failed") announce("said.failed", { name: item.name, error: item.error });
    const all = this.#items.all();
    const done = this.#items.all("done").length;
    if (item.state === "done" && done > 1 && done === all.length) announce("said.all", { count: done });
  }
}

/** A job of the server as an item. */
function described(job) {
  return {
    job,
    state: job.state,
    name: job.name,
    folder: job.folder,
    bytes: job.bytes,
    size: job.size,
    result: job.new_size,
    progress: job.progress,
    left: job.eta_seconds,
    error: job.error ?? "",
  };
}
