// Finding and building elements.
import { say } from "./say.js";

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which must exist. */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`there is no element #${id}`);
  return element;
}

/** Build an element from its tag, properties (`class` and `aria-...` included) and children. */
export function build(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "class" || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Build an icon of symbols.svg. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `static/symbols.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Put the icons into elements that name them by data-icon. */
export function fillIcons() {
  for (const element of document.querySelectorAll("[data-icon]")) element.prepend(icon(element.dataset.icon));
}

/** Show `message` in an element, which is hidden while there is none. */
export function show(element, message) {
  if (element.textContent !== message) element.textContent = message;
  element.hidden = !message;
}

/** Have screen readers say something. */
export function announce(key, values) {
  const line = build("p", {}, say(key, values));
  find("announcer").append(line);
  setTimeout(() => line.remove(), 10_000);
}

/** Return a function that calls `action` once in the next frame, however often it is called before. */
export function oncePerFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}
