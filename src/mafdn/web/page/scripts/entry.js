// A server that is protected by a token: taken from the address or asked for, then kept as a cookie by the browser.
import { getInfo, openSession } from "./api.js";
import { find, show } from "./dom.js";
import { say } from "./say.js";

/** Seconds before the next attempt to connect, if the server does not say. */
const PAUSE = 2;

/** Return what the server says about itself, as soon as it lets this browser in. */
export async function enter() {
  let token = new URLSearchParams(location.hash.slice(1)).get("token");
  // It should not stay in the address line.
  if (token) history.replaceState(null, "", location.pathname + location.search);
  for (;;) {
    try {
      if (token) await tryToken(token);
      token = null;
      const info = await getInfo();
      show(find("connection"), "");
      return info;
    } catch (error) {
      if (error.status === 401) await askForToken();
      else await complain(error);
    }
  }
}

async function tryToken(token) {
  try {
    await openSession(token);
    return true;
  } catch (error) {
    if (!error.status || error.status === 429 || error.status >= 500) throw error; // it may be the right one
    return false;
  }
}

function askForToken() {
  const dialog = find("entry");
  const form = find("entry-form");
  let entered = false;
  show(find("connection"), "");
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
    dialog.onclose = () => entered || dialog.showModal(); // browsers close it on a second Escape all the same
    form.onsubmit = async (event) => {
      event.preventDefault();
      try {
        const right = await tryToken(form.elements.token.value);
        show(find("entry-error"), right ? "" : say("entry.wrong"));
        if (!right) return;
      } catch (error) {
        show(find("entry-error"), error.message);
        return;
      }
      form.reset();
      entered = true;
      dialog.close();
      resolve();
    };
  });
}

/** Show why there is no connection, and wait before the next attempt. */
async function complain(error) {
  show(find("connection"), error.message);
  await new Promise((resolve) => setTimeout(resolve, (error.retryAfter || PAUSE) * 1000));
}
