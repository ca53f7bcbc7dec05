// The line of options: read, checked, remembered.
import { build, find, show } from "./dom.js";
import { percent } from "./numbers.js";
import { say } from "./say.js";
import { recall, remember } from "./storage.js";

const DEFAULTS = {
  factor: "4",
  sizeKind: "longest",
  sizeValue: "3840",
  sizeHeight: "2160",
  network: "", // that of the server
  strength: 100,
  format: "",
  quality: 95,
  lossless: false,
  metadata: true,
  verify: false,
};
const FACTORS = ["2", "3", "4"];
const PLACEHOLDERS = { scale: "2.5", longest: "3840", width: "1920", height: "1080", fit: "3840", megapixels: "12" };

/** The form of options; says "change" whenever they mean something else. */
export class Options extends EventTarget {
  #form = find("options");
  #formats = [];
  #defaultNetwork = "auto";
  #values;

  constructor() {
    super();
    this.#values = { ...DEFAULTS, ...known(recall("options")) };
    this.#write();
    this.#form.addEventListener("input", () => this.#read());
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.elements.sizeKind.addEventListener("change", () => this.#exampleValue());
    const toggle = find("options-toggle"); // only shown where there is little room
    toggle.addEventListener("click", () =>
      toggle.setAttribute("aria-expanded", String(toggle.ariaExpanded !== "true")),
    );
  }

  /** Take over what the server can do: `formats` as /info lists them, and the names of its networks. */
  limitTo({ formats, networks, defaultNetwork }) {
    this.#formats = formats;
    const select = this.#form.elements.format;
    select.append(...formats.map((format) => new Option(format.title, format.name)));
    for (const label of find("networks").children) label.hidden = !networks.includes(label.firstElementChild.value);
    this.#offer(defaultNetwork);
    if (!formats.some((format) => format.name === this.#values.format)) this.#values.format = "";
    if (!networks.includes(this.#values.network)) this.#values.network = DEFAULTS.network;
    this.#write();
    this.dispatchEvent(new Event("change"));
  }

  /** The options as the server takes them. */
  get fields() {
    const { factor, sizeKind, sizeValue, sizeHeight, network, strength, format, quality, lossless, metadata, verify } =
      this.#values;
    const fields = { strength: strength / 100, strip_metadata: !metadata, verify };
    if (network) fields.network = network;
    if (factor !== "other") fields.scale = factor;
    else
      fields[sizeKind] =
        sizeKind === "fit" ? `${sizeValue.trim()}x${sizeHeight.trim()}` : sizeValue.trim().replace(",", ".");
    if (format) {
      fields.format = format;
      if (this.#lossless && lossless) fields.lossless = true;
      else if (this.#lossy) fields.quality = quality;
    }
    return fields;
  }

  /** Show what is wrong with them, in the words of the server; nothing if they are right. */
  complain(message) {
    show(find("options-error"), message);
  }

  get #lossy() {
    return Boolean(this.#formats.find((format) => format.name === this.#values.format)?.quality);
  }

  get #lossless() {
    const format = this.#formats.find((one) => one.name === this.#values.format);
    return Boolean(format?.quality && format.lossless);
  }

  /** Offer the network that the server uses unless it is told otherwise. */
  #offer(name) {
    this.#defaultNetwork = name;
    if ([...this.#form.elements.network].some((input) => input.value === name)) return;
    const input = build("input", { type: "radio", name: "network", value: name });
    find("networks").append(build("label", { title: name }, input, build("span", {}, build("bdi", {}, name))));
  }

  #read() {
    const { elements } = this.#form;
    const network = elements.network.value;
    const quality = Math.round(Number(elements.quality.value));
    this.#values = {
      factor: elements.factor.value,
      sizeKind: elements.sizeKind.value,
      sizeValue: elements.sizeValue.value,
      sizeHeight: elements.sizeHeight.value,
      network: network === this.#defaultNetwork ? DEFAULTS.network : network,
      strength: Number(elements.strength.value),
      format: elements.format.value,
      quality: quality >= 1 && quality <= 100 ? quality : this.#values.quality,
      lossless: elements.lossless.checked,
      metadata: elements.metadata.checked,
      verify: elements.verify.checked,
    };
    remember("options", this.#values);
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  #write() {
    const { elements } = this.#form;
    for (const name of ["factor", "sizeKind", "sizeValue", "sizeHeight", "strength", "format", "quality"]) {
      elements[name].value = this.#values[name];
    }
    elements.network.value = this.#values.network || this.#defaultNetwork;
    for (const name of ["lossless", "metadata", "verify"]) elements[name].checked = this.#values[name];
    this.#show();
  }

  #show() {
    const { factor, sizeKind, strength, lossless } = this.#values;
    const fit = sizeKind === "fit";
    find("other-size").hidden = FACTORS.includes(factor);
    find("times").hidden = !fit;
    this.#form.elements.sizeHeight.hidden = !fit;
    find("lossless-field").hidden = !this.#lossless;
    find("quality-field").hidden = !this.#lossy || (this.#lossless && lossless);
    find("strength-shown").textContent = percent(strength / 100);
    find("options-summary").textContent = this.#summary;
    show(find("network-hint"), hintOf(this.#form.querySelector("[name=network]:checked")));
    show(find("verify-hint"), hintOf(this.#form.querySelector("[name=verify]:checked")));
  }

  /** The most important options in a few words. */
  get #summary() {
    const { factor, sizeKind, sizeValue, sizeHeight, format } = this.#values;
    const other = sizeKind === "fit" ? say("unit.size", { width: sizeValue, height: sizeHeight }) : sizeValue;
    const size = factor === "other" ? `${say(`options.${sizeKind}`)} ${other}` : `${factor}×`;
    const title = this.#formats.find((one) => one.name === format)?.title;
    const network = this.#form.querySelector("[name=network]:checked")?.parentElement.textContent.trim();
    return [size, network, title].filter(Boolean).join(" · ");
  }

  #exampleValue() {
    this.#form.elements.sizeValue.value = PLACEHOLDERS[this.#form.elements.sizeKind.value];
    this.#read();
  }
}

/** What an option means that is chosen; nothing if there is none, or its name says all. */
function hintOf(input) {
  const label = input?.parentElement;
  return label?.dataset.title ? `${label.textContent.trim()} · ${label.title}` : "";
}

/** Those of the remembered values that are still options of the same type. */
function known(values) {
  const kept = {};
  for (const [name, value] of Object.entries(values ?? {})) {
    if (name in DEFAULTS && typeof value === typeof DEFAULTS[name]) kept[name] = value;
  }
  return kept;
}
