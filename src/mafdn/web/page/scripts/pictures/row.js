// One picture in the list.
import { resultAddress } from "../api.js";
import { build, icon, show } from "../dom.js";
import { about, duration, fileSize, moment, percent, pixels } from "../numbers.js";
import { say } from "../say.js";
import { canRetry, isBusy } from "./items.js";

/** The list entry of an item; `actions` has compare, cancel and retry, which take it, and remove, for a list. */
export class Row {
  #item;
  #thumbnail = build("div", { class: "thumbnail" }, icon("picture"));
  #name = build("p", { class: "row-name" });
  #facts = build("p", { class: "row-facts" }, build("span", { class: "row-folder" }), build("span"), build("span"));
  #error = build("p", { class: "row-error" });
  #status = build("p", { class: "row-status" });
  #progress = build("progress", { max: 1 });
  #kept = build("p", { class: "row-kept" });
  #compare;
  #download = build("a", { class: "button small quiet", download: "" }, icon("download"), build("span"));
  #retry;
  #close;

  constructor(item, actions) {
    this.#item = item;
    this.#compare = button("button small", "row.compare", () => actions.compare(item));
    this.#retry = button("button small", "row.retry", () => actions.retry(item));
    this.#close = build("button", { class: "icon-button", type: "button" }, icon("close"));
    this.#close.addEventListener("click", () => (isBusy(item) ? actions.cancel(item) : actions.remove([item])));
    this.#thumbnail.addEventListener("click", () => item.state === "done" && actions.compare(item));
    this.#download.lastElementChild.textContent = say("row.download");
    this.element = build(
      "li",
      { class: "row" },
      this.#thumbnail,
      build("div", { class: "row-main" }, this.#name, this.#facts, this.#error),
      build("div", { class: "row-state" }, this.#status, this.#progress, this.#kept),
      build("div", { class: "row-buttons" }, this.#compare, this.#retry, this.#download),
      this.#close,
    );
    this.update();
  }

  /** Move the keyboard focus to this row. */
  focus() {
    this.#close.focus();
  }

  /** Show the item as it is now. */
  update() {
    const { state, name, error, thumbnail, job } = this.#item;
    this.element.dataset.state = state;
    if (thumbnail && this.#thumbnail.firstElementChild !== thumbnail) this.#thumbnail.replaceChildren(thumbnail);
    if (this.#name.textContent !== name) this.#named(name);
    this.#showFacts();
    show(this.#error, error);
    show(this.#status, this.#statusText());
    this.#showProgress();
    const done = state === "done";
    this.#compare.hidden = !done;
    show(this.#kept, done && job.expires ? say("row.kept", { time: moment(job.expires) }) : "");
    this.#retry.hidden = !canRetry(this.#item);
    this.#download.hidden = !done;
    if (done) this.#download.setAttribute("href", resultAddress(job.id));
    const closes = say(isBusy(this.#item) ? "row.cancel.name" : "row.remove.name", { name });
    if (this.#close.title !== closes) {
      this.#close.title = closes;
      this.#close.setAttribute("aria-label", closes);
    }
  }

  #named(name) {
    this.#name.textContent = name;
    this.#name.title = name;
    this.#progress.setAttribute("aria-label", say("row.progress", { name }));
    this.#compare.setAttribute("aria-label", say("row.compare.name", { name }));
    this.#retry.setAttribute("aria-label", say("row.retry.name", { name }));
    this.#download.setAttribute("aria-label", say("row.download.name", { name }));
  }

  #showFacts() {
    const { folder, size, result, bytes, job, state } = this.#item;
    const shown = state === "done" && job.result_bytes ? job.result_bytes : bytes;
    const [path, sizes, space] = this.#facts.children;
    show(path, folder);
    if (size && result) show(sizes, say("row.sizes", { size: pixels(size), result: pixels(result) }));
    else show(sizes, size ? pixels(size) : "");
    show(space, shown ? fileSize(shown) : "");
  }

  #statusText() {
    const { state, progress, sent, seconds, left, job } = this.#item;
    switch (state) {
      case "ready":
        return seconds === null ? "" : about(seconds);
      case "uploading":
        return say("row.uploading", { percent: percent(sent) });
      case "running":
        if (progress >= 1) return say("row.finishing");
        if (left === null) return say("row.running", { percent: percent(progress) });
        return say("row.running.left", { percent: percent(progress), time: about(left) });
      case "done":
        return job.seconds === null ? say("row.done") : say("row.done.in", { time: duration(job.seconds) });
      case "failed":
        return "";
      default:
        return say(`row.${state}`);
    }
  }

  #showProgress() {
    const { state, progress, sent } = this.#item;
    this.#progress.hidden = state !== "running" && state !== "uploading";
    if (state === "uploading") this.#progress.value = sent;
    else if (progress > 0) this.#progress.value = progress;
    else this.#progress.removeAttribute("value");
  }
}

function button(kind, key, action) {
  const element = build("button", { class: kind, type: "button" }, say(key));
  element.addEventListener("click", action);
  return element;
}
