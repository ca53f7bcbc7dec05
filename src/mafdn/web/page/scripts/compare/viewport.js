// Which part of a picture is seen, and how large. Lengths on the screen are device pixels, in the picture its pixels.

/** Largest zoom; one pixel of the result is then a square of this many pixels of the screen. */
const MOST_ZOOM = 16;

/** A window on a picture; the zoom is 1 where each pixel of the picture is one of the screen. */
export class Viewport {
  zoom = 1;
  #size = [1, 1];
  #pane = [1, 1];
  #center = [0.5, 0.5];
  #density = 1;

  /** Show another picture of this size, at 100 % and from its middle, or as it was if the size is the same. */
  show(size) {
    if (size[0] === this.#size[0] && size[1] === this.#size[1]) return;
    this.#size = size;
    this.#center = [size[0] / 2, size[1] / 2];
    this.zoom = 1;
    this.#clamp();
  }

  /** Tell how large a pane of the screen is; `density` is the number of device pixels per CSS pixel. */
  resize(pane, density) {
    this.#pane = pane;
    this.#density = density;
    this.#clamp();
  }

  get pane() {
    return this.#pane;
  }

  /** The zoom at which the whole picture is seen; small ones are not enlarged beyond one pixel of the page. */
  get fitting() {
    return Math.min(this.#pane[0] / this.#size[0], this.#pane[1] / this.#size[1], this.#density);
  }

  /** Place of the upper left corner of the picture in the pane, in whole pixels so that 100 % is sharp. */
  get origin() {
    return [0, 1].map((axis) => Math.round(this.#pane[axis] / 2 - this.#center[axis] * this.zoom));
  }

  /** The part of the pane that the picture covers: left, top, right and bottom. */
  get covered() {
    const [left, top] = this.origin;
    const [width, height] = this.#size.map((length) => length * this.zoom);
    return [
      Math.max(0, left),
      Math.max(0, top),
      Math.min(this.#pane[0], left + width),
      Math.min(this.#pane[1], top + height),
    ];
  }

  /** The part of the picture that is seen: left, top, right and bottom. */
  get seen() {
    const origin = this.origin;
    return this.covered.map((edge, index) => (edge - origin[index % 2]) / this.zoom);
  }

  /** Move by a distance on the screen. */
  pan(dx, dy) {
    this.#center = [this.#center[0] - dx / this.zoom, this.#center[1] - dy / this.zoom];
    this.#clamp();
  }

  /** Zoom so that the point of the picture at `x`, `y` in the pane stays there; by default that in the middle. */
  zoomTo(zoom, x = this.#pane[0] / 2, y = this.#pane[1] / 2) {
    const next = Math.min(MOST_ZOOM, Math.max(Math.min(1, this.fitting), zoom));
    const held = [x, y].map((at, axis) => this.#center[axis] + (at - this.#pane[axis] / 2) / this.zoom);
    this.#center = held.map((point, axis) => point - ([x, y][axis] - this.#pane[axis] / 2) / next);
    this.zoom = next;
    this.#clamp();
  }

  /** Keep the pane filled where the picture is larger, and the picture in the middle where it is smaller. */
  #clamp() {
    this.zoom = Math.max(Math.min(1, this.fitting), this.zoom);
    this.#center = this.#center.map((point, axis) => {
      const half = this.#pane[axis] / 2 / this.zoom;
      if (half * 2 >= this.#size[axis]) return this.#size[axis] / 2;
      return Math.min(this.#size[axis] - half, Math.max(half, point));
    });
  }
}
