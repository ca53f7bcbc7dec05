// Thumbnails: made here where the browser can decode the file, else fetched from the server.
import { fetchPicture, thumbnailAddress } from "../api.js";

/** Side of a thumbnail in pixels, twice that on the page. */
const SIDE = 128;
/** Larger files are left to the server: decoding them here could take gigabytes. */
const MOST_BYTES = 60e6;

/** Make thumbnails of all pictures that are added to `items`, one at a time. */
export function makeThumbnails(items) {
  let last = Promise.resolve();
  const inTurn = (work) => {
    last = last.then(work);
  };
  items.addEventListener("add", ({ detail: item }) => {
    if (item.file) inTurn(() => local(items, item));
    else inTurn(() => fromServer(items, item));
  });
  items.addEventListener("change", ({ detail: item }) => {
    if (!item.unreadable || !item.job || item.thumbnail || item.state !== "done") return;
    item.unreadable = false; // asked for once
    inTurn(() => fromServer(items, item));
  });
}

async function local(items, item) {
  if (!items.has(item)) return;
  if (item.file.size > MOST_BYTES) {
    items.change(item, { unreadable: true });
    return;
  }
  try {
    const bitmap = await createImageBitmap(item.file);
    const size = [bitmap.width, bitmap.height];
    items.change(item, { thumbnail: reduced(bitmap), size: item.size ?? size });
  } catch {
    items.change(item, { unreadable: true }); // TIFF, HEIC and others, or damaged: the server will tell
  }
}

async function fromServer(items, item) {
  if (!items.has(item) || !item.job) return;
  try {
    const bitmap = await fetchPicture(thumbnailAddress(item.job));
    items.change(item, { thumbnail: reduced(bitmap) });
  } catch {
    items.change(item, { unreadable: item.state !== "done" && item.state !== "failed" });
  }
}

/** The middle of a picture as a square canvas; closes the bitmap. */
function reduced(bitmap) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const side = Math.min(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  bitmap.close();
  return canvas;
}
