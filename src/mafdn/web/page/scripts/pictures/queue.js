// From the page to the server: starts, sends, cancels and retries pictures.
import { deleteJob, retryJob, sendPicture } from "../api.js";
import { say } from "../say.js";
import { canRetry, isBusy } from "./items.js";

/** Seconds to wait if the server is busy, but does not say for how long. */
const PAUSE = 2;
/** Seconds to wait without a connection; earlier as soon as there is one again. */
const LONG_PAUSE = 15;
/** Transfers of a picture that may be cut off, although there is a connection, before it fails. */
const MOST_CUTS = 3;
/** Attempts to start a job again while the server is still stopping it. */
const MOST_RETRIES = 30;
/** Bytes that must be missing for a transfer to be stopped; else the server may have the whole picture already. */
const STOPPABLE = 4e6;

/** Sends pictures one after the other; what the server then says about them is the business of `Jobs`. */
export class Queue {
  #items;
  #jobs;
  #options;
  #sending = null;
  #timer = null;

  constructor(items, jobs, options) {
    this.#items = items;
    this.#jobs = jobs;
    this.#options = options;
    jobs.addEventListener("open", () => this.#resume());
    window.addEventListener("beforeunload", (event) => {
      if (items.all("waiting", "uploading").length) event.preventDefault();
    });
  }

  /** Start all pictures that are ready, with the options of now. */
  start() {
    const fields = this.#options.fields;
    for (const item of this.#items.all("ready"))
      this.#items.change(item, { state: "waiting", options: fields, error: "" });
    this.#next();
  }

  /** Cancel a picture, wherever it is. */
  async cancel(item) {
    if (!isBusy(item)) return;
    if (item.state === "waiting" || item.state === "uploading") {
      this.#items.change(item, { state: "canceled", error: "" });
      if (this.#sending?.item === item && item.bytes * (1 - item.sent) > STOPPABLE) this.#sending.abort();
      return;
    }
    await this.#attempt(item, () => deleteJob(item.job.id)); // an event tells the new state
  }

  /** Cancel all pictures. */
  async cancelAll() {
    const busy = this.#items.all("waiting", "uploading", "queued", "running");
    await Promise.all(busy.reverse().map((item) => this.cancel(item)));
  }

  /** Try a picture again that failed or was canceled, with the options of now. */
  async retry(item) {
    const options = this.#options.fields;
    if (item.job?.retryable) {
      await this.#attempt(item, () => retryWhenStopped(item.job.id, options)); // an event tells the new state
      return;
    }
    const old = item.job;
    this.#items.change(item, { state: "waiting", job: null, error: "", progress: 0, sent: 0, cuts: 0, options });
    if (old) await remove(old);
    this.#next();
  }

  /** Try all pictures again that failed. */
  async retryAll() {
    for (const item of this.#items.all("failed").filter(canRetry)) await this.retry(item);
  }

  /** Remove a picture here and on the server. */
  async remove(item) {
    this.#items.remove(item);
    if (item.job) await remove(item.job);
  }

  async #attempt(item, action) {
    try {
      await action();
    } catch (error) {
      if (error.status === 404) this.#jobs.lose(item);
      else this.#items.change(item, { error: error.message });
    }
  }

  async #next() {
    if (this.#sending || this.#timer) return;
    const [item] = this.#items.all("waiting");
    if (!item) return;
    this.#items.change(item, { state: "uploading", sent: 0, error: "" });
    const path = item.folder ? `${item.folder}/${item.name}` : item.name;
    const { promise, abort } = sendPicture(item.file, path, item.options, (sent) => this.#items.change(item, { sent }));
    this.#sending = { item, abort };
    try {
      const job = await this.#jobs.whileSending(promise);
      if (!this.#items.has(item) || item.state === "waiting") {
        this.#jobs.ignore(job); // the picture was removed, or is to be sent again
        await remove(job);
      } else {
        const canceled = item.state === "canceled";
        this.#jobs.apply(job, item);
        if (canceled) await this.cancel(item);
      }
    } catch (error) {
      await this.#failed(item, error);
    }
    this.#sending = null;
    this.#next();
  }

  /** Take note of a transfer that did not succeed: the picture waits for another one, unless that would be useless. */
  async #failed(item, error) {
    if (error.name === "AbortError" || item.state !== "uploading") return;
    const changes = await this.#outcome(item, error);
    if (item.state !== "uploading") return; // canceled in the meantime
    this.#items.change(item, { sent: 0, ...changes });
    if (item.state !== "waiting") return;
    const pause = this.#jobs.connected ? PAUSE : LONG_PAUSE;
    this.#timer = setTimeout(() => this.#resume(), (error.retryAfter || pause) * 1000);
  }

  async #outcome(item, error) {
    const waiting = { state: "waiting", error: error.message };
    if (error.status === 429 || error.status === 503) return waiting;
    if (error.status !== 0 && error.status !== 401) return { state: "failed", error: error.message };
    if (!(await isReadable(item.file))) return { state: "failed", error: say("error.file") };
    const cuts = item.cuts + Number(this.#jobs.connected);
    return cuts < MOST_CUTS ? { ...waiting, cuts } : { state: "failed", error: error.message };
  }

  #resume() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#next();
  }
}

/** Whether a file is still where it was, as it was: browsers report others like a lost connection. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Start a job again, which may still have to stop. */
async function retryWhenStopped(id, options) {
  for (let left = MOST_RETRIES; ; left -= 1) {
    try {
      return await retryJob(id, options);
    } catch (error) {
      if (error.status !== 409 || !left) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE * 1000));
  }
}

async function remove(job) {
  try {
    const canceled = await deleteJob(job.id);
    if (canceled) await deleteJob(job.id); // the first time it was only canceled
  } catch {
    // gone already, or removed by age later
  }
}
