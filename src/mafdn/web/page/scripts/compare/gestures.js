// Mouse, touch, pen and wheel on the stage.

/** Zoom of one step of a button or key. */
export const STEP = Math.SQRT2;
/** Zoom per pixel of scrolling, and of the pinch that trackpads report as scrolling with the control key. */
const WHEEL = 0.0015;
const PINCH = 0.01;
/** Pixels per line, for mice that scroll in lines. */
const LINE = 16;

/**
 * Follow gestures on `canvas`.
 *
 * `pan(dx, dy)` and `zoom(factor, x, y)` get CSS pixels of the canvas, `toggle(x, y)` a double click.
 */
export function followGestures(canvas, { pan, zoom, toggle }) {
  const pointers = new Map();
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    canvas.classList.add("held");
  });
  canvas.addEventListener("pointermove", (event) => {
    const old = pointers.get(event.pointerId);
    if (!old) return;
    const before = spread([...pointers.values()]);
    pointers.set(event.pointerId, place(event));
    const after = spread([...pointers.values()]);
    pan(after.middle[0] - before.middle[0], after.middle[1] - before.middle[1]);
    if (before.distance > 0) zoom(after.distance / before.distance, ...after.middle);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) canvas.classList.remove("held");
    });
  }
  canvas.addEventListener("dblclick", (event) => toggle(...place(event)));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const distance = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      zoom(Math.exp(-distance * (event.ctrlKey ? PINCH : WHEEL)), ...place(event));
    },
    { passive: false },
  );
}

/** Have `move` called with the place of the pointer while `handle` is dragged, as a share of the width of `stage`. */
export function followDrag(handle, stage, move) {
  handle.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    move((event.clientX - box.left) / box.width);
  });
}

/** The middle of one or two points, and the distance between two, 0 for one. */
function spread(points) {
  const [first, second = first] = points;
  return {
    middle: [(first[0] + second[0]) / 2, (first[1] + second[1]) / 2],
    distance: Math.hypot(first[0] - second[0], first[1] - second[1]),
  };
}
