// The list of pictures.
import { announce, find, oncePerFrame } from "../dom.js";
import { say } from "../say.js";
import { isBusy } from "./items.js";
import { Row } from "./row.js";

/** Show all pictures of `items`; `actions` are those of `Row`. */
export function showList(items, actions) {
  const rows = new Map();
  const changed = new Set();
  const list = find("rows");
  const refresh = oncePerFrame(() => {
    for (const item of changed) rows.get(item)?.update();
    changed.clear();
    const all = items.all();
    find("pictures").hidden = !all.length;
    find("clear").hidden = !all.length || all.some(isBusy);
    document.body.classList.toggle("empty", !all.length);
    find("intake-title").textContent = say(all.length ? "intake.title.more" : "intake.title");
  });
  let first = null;
  const reveal = oncePerFrame(() => {
    first?.scrollIntoView({ block: "nearest" });
    first = null;
  });
  items.addEventListener("add", ({ detail: item }) => {
    const row = new Row(item, actions);
    rows.set(item, row);
    list.append(row.element);
    if (item.file) first ??= row.element; // jobs of earlier visits do not call for attention
    refresh();
    reveal();
  });
  items.addEventListener("change", ({ detail: item }) => {
    changed.add(item);
    refresh();
  });
  items.addEventListener("remove", ({ detail: item }) => {
    const { element } = rows.get(item);
    if (element.contains(document.activeElement)) nextFocus(rows, element, item);
    element.remove();
    rows.delete(item);
    refresh();
  });
  find("clear").addEventListener("click", async () => {
    if (await actions.remove(items.all())) find("choose-files").focus();
  });
  document.body.classList.add("empty");
}

function nextFocus(rows, element, item) {
  const neighbor = element.nextElementSibling ?? element.previousElementSibling;
  const row = [...rows.values()].find((one) => one.element === neighbor);
  if (row) row.focus();
  else find("choose-files").focus();
  announce("said.removed", { name: item.name });
}
