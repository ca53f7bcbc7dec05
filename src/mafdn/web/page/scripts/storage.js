// What the page remembers in this browser. Some browsers forbid that; then nothing is remembered.

/** Return what was remembered under `name`, or null. */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(`mafdn.${name}`));
  } catch {
    return null;
  }
}

/** Remember a value that JSON can hold. */
export function remember(name, value) {
  try {
    localStorage.setItem(`mafdn.${name}`, JSON.stringify(value));
  } catch {
    // private windows and full storage: the value holds until the page is left
  }
}
