// The pictures on the page, from the moment they are dropped until they are removed.

/** States in which something still happens without the user. */
const BUSY = new Set(["waiting", "uploading", "queued", "running"]);

/** Whether a picture is still on its way. */
export function isBusy(item) {
  return BUSY.has(item.state);
}

/** Whether a picture can be tried again: the server has it still, or this page has its file. */
export function canRetry({ state, job, file }) {
  return (state === "failed" || state === "canceled") && Boolean(job?.retryable || file);
}

/**
 * Pictures in the order in which they were added; says "add", "change" and "remove" (`event.detail` is the item).
 *
 * An item has: key; state (ready, waiting, uploading, queued, running, done, failed, canceled); name; folder, the path
 * before it from the folder that was chosen; bytes; file, null for jobs of an earlier visit; size and result, pairs of
 * pixels or null; thumbnail, a canvas or null; sent and progress, shares of 0 to 1; seconds, as estimated before it was
 * sent, or null; left, seconds expected until it is done, or null; error, a sentence on why it failed or waits; job, as
 * the server describes it, or null; options, as they were at its start; cuts, how often its transfer was cut off;
 * unreadable, whether the browser cannot make the thumbnail.
 */
export class Items extends EventTarget {
  #items = new Map();
  #byJob = new Map();
  #next = 1;

  /** Add a picture. */
  add(fields) {
    const item = {
      key: this.#next++,
      state: "ready",
      name: "",
      folder: "",
      bytes: 0,
      file: null,
      size: null,
      result: null,
      thumbnail: null,
      sent: 0,
      cuts: 0,
      progress: 0,
      error: "",
      job: null,
      options: null,
      seconds: null,
      left: null,
      unreadable: false,
      ...fields,
    };
    this.#items.set(item.key, item);
    if (item.job) this.#byJob.set(item.job.id, item);
    this.#say("add", item);
    return item;
  }

  /** Change a picture; does nothing if it was removed in the meantime. */
  change(item, changes) {
    if (!this.has(item)) return;
    if ("job" in changes && changes.job?.id !== item.job?.id) {
      if (item.job) this.#byJob.delete(item.job.id);
      if (changes.job) this.#byJob.set(changes.job.id, item);
    }
    Object.assign(item, changes);
    this.#say("change", item);
  }

  /** Remove a picture from the page. */
  remove(item) {
    if (!this.#items.delete(item.key)) return;
    if (item.job) this.#byJob.delete(item.job.id);
    this.#say("remove", item);
  }

  /** Whether a picture is still on the page. */
  has(item) {
    return this.#items.get(item.key) === item;
  }

  /** The picture of a job, or undefined. */
  ofJob(id) {
    return this.#byJob.get(id);
  }

  /** All pictures, or those in one of the given states. */
  all(...states) {
    const items = [...this.#items.values()];
    return states.length ? items.filter((item) => states.includes(item.state)) : items;
  }

  #say(what, item) {
    this.dispatchEvent(new CustomEvent(what, { detail: item }));
  }
}
