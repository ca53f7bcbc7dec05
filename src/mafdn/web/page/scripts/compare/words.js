// What is said below a comparison.
import { decimal, percent } from "../numbers.js";
import { say } from "../say.js";

/** Which weights were chosen and why, and what else is to be known about the result. */
export function weights(job) {
  const chosen = job.report?.weights;
  const notes = job.report?.notes ?? [];
  const why = chosen ? say("compare.weights", { variant: chosen.variant, reason: chosen.reason }) : "";
  return [why, ...notes].filter(Boolean).map(sentence).join(" ");
}

/** The figures of a verification, nothing if there was none. */
export function verification(job) {
  const found = job.report?.verification;
  if (!found) return "";
  const figures = say("compare.verified", {
    mean: decimal(found.mean_difference),
    largest: decimal(found.largest_difference),
  });
  const first =
    found.psnr === null ? figures : say("compare.verified.psnr", { verified: figures, psnr: decimal(found.psnr) });
  const share = found.coefficients?.all.share;
  return [sentence(first), share === undefined ? "" : say("compare.coefficients", { share: percent(share) })]
    .join(" ")
    .trim();
}

function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
