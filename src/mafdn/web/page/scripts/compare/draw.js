// Draws tiles: bicubic on the left and the result on the right, divided or side by side.

/** From this zoom on pixels are drawn as squares. */
const SQUARES = 2;
/** Width of the gap between both sides, in device pixels. */
export const GAP = 2;

/**
 * Draw a view.
 *
 * `tiles` are those of `Tiles.view`; `divider` is the place of the divider in device pixels, or null for both sides
 * side by side.
 */
export function draw(canvas, viewport, tiles, divider) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const [width] = viewport.pane;
  if (divider === null) {
    drawSide(context, canvas, viewport, tiles, "before", 0, width, 0);
    drawSide(context, canvas, viewport, tiles, "after", width + GAP, width, width + GAP);
  } else {
    drawSide(context, canvas, viewport, tiles, "before", 0, divider, 0);
    drawSide(context, canvas, viewport, tiles, "after", divider, width - divider, 0);
  }
}

/** Draw one side, clipped to the columns from `left` on; `shift` is where its pane begins. */
function drawSide(context, canvas, viewport, tiles, which, left, width, shift) {
  context.save();
  context.beginPath();
  context.rect(left, 0, width, canvas.height);
  context.clip();
  context.imageSmoothingEnabled = viewport.zoom < SQUARES;
  context.imageSmoothingQuality = "high";
  const { zoom } = viewport;
  const [x, y] = viewport.origin;
  for (const tile of tiles) {
    if (tile.which !== which) continue;
    // Edges are rounded, not sizes, so that neighbors meet.
    const [l, r] = [tile.left, tile.right].map((edge) => Math.round(shift + x + edge * zoom));
    const [t, b] = [tile.top, tile.bottom].map((edge) => Math.round(y + edge * zoom));
    context.drawImage(tile.bitmap, l, t, r - l, b - t);
  }
  context.restore();
}
