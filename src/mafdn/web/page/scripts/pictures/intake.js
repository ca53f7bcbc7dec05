// Pictures come in: dropped, pasted or chosen, single or in folders.
import { announce, find, show } from "../dom.js";
import { say } from "../say.js";

/** Endings of picture files, as the server reads them; until it has told, the system's type of a file counts. */
let endings = [];

/** Endings of films, which the page does not take. */
let filmEndings = [];

/** Tell which endings, such as .jpg, picture files in folders have, and which films have. */
export function expectEndings(pictures, films) {
  endings = pictures;
  filmEndings = films;
}

/** Take in pictures from everywhere on the page; `add` is called with each list of pairs: file and folder. */
export function takeIn(add) {
  const files = find("files");
  const folder = find("folder");
  find("choose-files").addEventListener("click", () => files.click());
  find("choose-folder").addEventListener("click", () => folder.click());
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const found = [...input.files].map((file) => chosen(file, file.webkitRelativePath));
      input.value = "";
      deliver(found, add);
    });
  }
  window.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    deliver(
      pasted.map((file) => chosen(file)),
      add,
    );
  });
  takeDrops(add);
}

function takeDrops(add) {
  const cover = find("drop-cover");
  let depth = 0;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog[open]");
  window.addEventListener("dragenter", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    depth += 1;
    cover.hidden = false;
  });
  window.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) cover.hidden = true;
  });
  window.addEventListener("dragover", (event) => {
    event.preventDefault(); // elsewhere the browser would leave the page to show the file
    if (event.dataTransfer) event.dataTransfer.dropEffect = isFiles(event) ? "copy" : "none";
  });
  window.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    cover.hidden = true;
    if (isFiles(event)) deliver(await dropped(event.dataTransfer), add);
  });
}

/** A file with the folder that its path, which begins with the folder that was chosen, names; empty for none. */
function chosen(file, path = "") {
  return { file, folder: path.replace(/^\//, "").split("/").slice(0, -1).join("/") };
}

function deliver(found, add) {
  const films = found.filter(({ file }) => isFilm(file));
  const pictures = found.filter((one) => !films.includes(one) && (!one.folder || isPicture(one.file)));
  const skipped = found.length - films.length - pictures.length;
  if (pictures.length) {
    add(pictures);
    announce("intake.added", { count: pictures.length });
  } else if (found.length) {
    find("pictures").hidden = false;
  }
  const lines = [];
  if (films.length) lines.push(say("intake.films", { count: films.length, name: films[0].file.name }));
  if (pictures.length && skipped) lines.push(say("intake.skipped", { count: skipped }));
  if (!pictures.length && !films.length && found.length) lines.push(say("intake.none"));
  show(find("notice"), lines.join(" "));
}

function isFilm(file) {
  const name = file.name.toLowerCase();
  return file.type.startsWith("video/") || filmEndings.some((ending) => name.endsWith(ending));
}

function isPicture(file) {
  const name = file.name.toLowerCase();
  const known = endings.length ? endings.some((ending) => name.endsWith(ending)) : file.type.startsWith("image/");
  return known && !name.startsWith(".") && file.size > 0;
}

/** The files of a drop, with those in folders; entries must be asked for before the first await. */
async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (entries.some((entry) => !entry)) return [...transfer.files].map((file) => chosen(file));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file) found.push(chosen(file, entry.fullPath));
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      // a call returns at most some 100 entries
      const batch = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
      if (!batch.length) break;
      batch.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
      for (const child of batch) await walk(child, found);
    }
  }
}
