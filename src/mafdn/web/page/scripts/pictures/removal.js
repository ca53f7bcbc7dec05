// Results go: by age, or because somebody removes them.
import { find } from "../dom.js";
import { span } from "../numbers.js";
import { say } from "../say.js";

/** For how long the server keeps results, by the limits that it tells. */
export function keeping({ keep_seconds: kept, keep_delivered_seconds: delivered }) {
  if (delivered >= kept) return say("list.kept", { time: span(kept) });
  return say("list.kept.delivered", { time: span(kept), delivered: span(delivered) });
}

/** Ask whether pictures may be removed, if a result among them was not downloaded. */
export function mayRemove(items) {
  const lost = items.filter(({ state, job }) => state === "done" && !job.delivered);
  if (!lost.length) return Promise.resolve(true);
  const dialog = find("removal");
  const values = { count: lost.length, name: lost[0].name };
  find("removal-title").textContent = say("removal.title", values);
  find("removal-hint").textContent = say("removal.hint", values);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}
