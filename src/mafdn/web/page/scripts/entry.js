// A server that is protected by a token: taken from the address or asked for, then kept as a cookie by the browser.
import { getInfo, openSession } from "./api.js";
import { find, show } from "./dom.js";
import { say } from "./say.js";

/** Return what the server says about itself, as soon as it lets this browser in. */
export async function enter() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search); // it should not stay in the address line
    await tryToken(token);
  }
  for (;;) {
    try {
      return await getInfo();
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
    if (error.status === 401 || error.status === 403) return false;
    throw error;
  }
}

function askForToken() {
  const dialog = find("entry");
  const form = find("entry-form");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
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
      dialog.close();
      resolve();
    };
  });
}

/** Show why there is no connection, and wait before the next attempt. */
async function complain(error) {
  show(find("connection"), error.message);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  show(find("connection"), "");
}
