// Pictures come in: dropped, pasted or chosen, single or in folders.
import { announce, find, show } from "../dom.js";
import { say } from "../say.js";

/** Endings of picture files, as the server reads them; until it has told, the system's type of a file counts. */
let endings = [];

/** Tell which endings, such as .jpg, picture files in folders have. */
export function expectEndings(known) {
  endings = known;
}

/** Take in pictures from everywhere on the page; `add` is called with each list of files. */
export function takeIn(add) {
  const files = find("files");
  const folder = find("folder");
  find("choose-files").addEventListener("click", () => files.click());
  find("choose-folder").addEventListener("click", () => folder.click());
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const found = [...input.files].map((file) => ({ file, inFolder: input === folder }));
      input.value = "";
      deliver(found, add);
    });
  }
  window.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    deliver(
      pasted.map((file) => ({ file, inFolder: false })),
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

function deliver(found, add) {
  const pictures = found.filter(({ file, inFolder }) => !inFolder || isPicture(file)).map(({ file }) => file);
  const skipped = found.length - pictures.length;
  const notice = find("notice");
  if (pictures.length) {
    add(pictures);
    announce("intake.added", { count: pictures.length });
    show(notice, skipped ? say("intake.skipped", { count: skipped }) : "");
  } else if (found.length) {
    find("pictures").hidden = false;
    show(notice, say("intake.none"));
  }
}

function isPicture(file) {
  const name = file.name.toLowerCase();
  const known = endings.length ? endings.some((ending) => name.endsWith(ending)) : file.type.startsWith("image/");
  return known && !name.startsWith(".") && file.size > 0;
}

/** The files of a drop, with those in folders; entries must be asked for before the first await. */
async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (entries.some((entry) => !entry)) return [...transfer.files].map((file) => ({ file, inFolder: false }));
  const found = [];
  for (const entry of entries) await walk(entry, false, found);
  return found;
}

async function walk(entry, inFolder, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file) found.push({ file, inFolder });
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      // a call returns at most some 100 entries
      const batch = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
      if (!batch.length) break;
      batch.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
      for (const child of batch) await walk(child, true, found);
    }
  }
}
