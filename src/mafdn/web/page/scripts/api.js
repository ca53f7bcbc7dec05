// The server's interface. Addresses are relative, so that the page also works below a path of another server.
import { say } from "./say.js";

const BASE = "api/v1";

/** An answer other than success; the message is the server's. */
export class ServerError extends Error {
  constructor(message, status, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** What the server is and can do. */
export const getInfo = () => ask("GET", "info");
/** Sizes and seconds for pictures of these sizes, pairs of pixels, that have not been sent. */
export function estimate(sizes, options, signal) {
  const pictures = sizes.map(([width, height]) => ({ width, height }));
  return ask("POST", "estimate", { json: { pictures, options }, signal });
}
/** Cancel a job, or remove one that has ended. */
export const deleteJob = (id) => ask("DELETE", `jobs/${id}`);
/** Start a failed or canceled job again, with these options. */
export const retryJob = (id, options) => ask("POST", `jobs/${id}/retry`, { json: options });
/** Have the server remember this browser by a cookie. */
export const openSession = (token) => ask("POST", "session", { token });

export const eventsAddress = () => `${BASE}/events`;
export const resultAddress = (id) => `${BASE}/jobs/${id}/result`;
export const thumbnailAddress = ({ id, version }) =>
  `${BASE}/jobs/${id}/thumbnail?which=before&size=256&version=${version}`;
export const zipAddress = (ids) => `${BASE}/results.zip?ids=${ids.join(",")}`;
/** A part of the preview of a result: `which` is before or after; the window counts pixels after reduction. */
export function previewAddress({ id, version }, which, { x, y, width, height, reduce }) {
  const window = `x=${x}&y=${y}&width=${width}&height=${height}&reduce=${reduce}`;
  return `${BASE}/jobs/${id}/preview/${which}?${window}&version=${version}`;
}

/** Fetch and decode a picture; the caller closes the bitmap. */
export async function fetchPicture(address, signal) {
  const response = await send(address, { signal });
  return createImageBitmap(await response.blob());
}

/**
 * Send a picture to be upscaled; `path` is its name, with the folders before it.
 *
 * Returns a promise of the job and a function that stops the transfer, which rejects the promise with an AbortError.
 */
export function sendPicture(file, path, fields, onSent) {
  const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
  const promise = new Promise((resolve, reject) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
    form.append("file", file, path);
    request.open("POST", `${BASE}/jobs`);
    request.upload.addEventListener("progress", ({ loaded, total }) => onSent(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(failure(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => reject(new ServerError(say("error.network"), 0)));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    request.send(form);
  });
  return { promise, abort: () => request.abort() };
}

async function ask(method, path, { json, signal, token } = {}) {
  const headers = json ? { "Content-Type": "application/json" } : {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await send(`${BASE}/${path}`, { method, body: json && JSON.stringify(json), signal, headers });
  return response.status === 204 ? null : response.json();
}

async function send(address, options) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(say("error.network"), 0);
  }
  if (!response.ok) throw failure(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

function failure(status, body, retryAfter) {
  let message = "";
  try {
    message = JSON.parse(body).error;
  } catch {
    // not from our server: a proxy's page
  }
  return new ServerError(message || say("error.server", { status }), status, Number(retryAfter) || 0);
}
