// Light, dark, or as the system: chosen by a button and remembered.
import { find } from "./dom.js";
import { say } from "./say.js";
import { recall, remember } from "./storage.js";

const THEMES = ["system", "light", "dark"];

let theme = recall("theme");
if (!THEMES.includes(theme)) theme = "system";
apply();

find("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  remember("theme", theme);
  apply();
});

function apply() {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const label = say("page.theme", { theme: say(`page.theme.${theme}`) });
  find("theme").setAttribute("aria-label", label);
  find("theme").title = label;
}
