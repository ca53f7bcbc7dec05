// Looks up texts and fills them in.
import { language, text } from "./text.js";

const plural = new Intl.PluralRules(language);

/** Return the text of `key` with `values` in the places of its {names}; `values.count` chooses the plural form. */
export function say(key, values = {}) {
  let message = text[key];
  if (message === undefined) throw new Error(`there is no text "${key}"`);
  if (typeof message === "object") message = message[plural.select(values.count)] ?? message.other;
  return message.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Fill in the texts that elements below `root` name by data-text, data-label and data-title. */
export function fillTexts(root) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of root.querySelectorAll("[data-title]")) {
    element.title = say(element.dataset.title);
    const control = element.querySelector("input") ?? element;
    control.setAttribute("aria-description", element.title); // titles are only shown by a mouse
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
    if (element.classList.contains("icon-button")) element.title = say(element.dataset.label);
  }
}
