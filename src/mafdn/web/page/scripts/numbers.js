// Sizes, times and shares as people read them.
import { say } from "./say.js";
import { language } from "./text.js";

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0, useGrouping: false });
const percents = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const decimals = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];

/** A file size such as 8.2 MB; `bytes` is a whole number. */
export function fileSize(bytes) {
  const step = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  const digits = step === 0 || value >= 100 ? 0 : 1;
  const unitDisplay = step === 0 ? "long" : "short";
  const style = { style: "unit", unit: UNITS[step], unitDisplay, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, style).format(value);
}

/** A size in pixels, from a pair, such as 640 × 480. */
export function pixels([width, height]) {
  return say("unit.size", { width: whole.format(width), height: whole.format(height) });
}

/** A share of 0 to 1 as percent; it only reads 100 when it is complete. */
export function percent(share) {
  const value = share >= 1 ? 100 : Math.min(99, Math.floor(share * 100));
  return say("options.percent", { percent: percents.format(value) });
}

/** A zoom of 1 for one pixel each as percent. */
export function zoomPercent(zoom) {
  const value = zoom * 100;
  return say("options.percent", {
    percent: value < 10 ? decimals.format(Number(value.toPrecision(2))) : percents.format(value),
  });
}

/** A number with at most two decimals. */
export function decimal(value) {
  return decimals.format(value);
}

/** A time that has passed, such as 4.1 s or 2 min. */
export function duration(seconds) {
  if (seconds < 10)
    return say("unit.second", { count: new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(seconds) });
  return rough(seconds);
}

/** A length of time, such as "24 hours" or "7 days". */
export function span(seconds) {
  const [unit, length] = seconds < 5400 ? ["minute", 60] : seconds < 172_800 ? ["hour", 3600] : ["day", 86_400];
  const style = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(language, style).format(seconds / length);
}

/** A time in seconds since 1970, such as 14:30, with the day unless that is today. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { month: "short", day: "numeric" };
  const style = { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(language, style).format(date);
}

/** A time that is expected, such as "about 40 s". */
export function about(seconds) {
  if (seconds < 1) return say("unit.moment");
  const step = seconds < 10 ? 1 : seconds < 60 ? 5 : seconds < 600 ? 30 : 60;
  return say("unit.about", { time: rough(Math.ceil(seconds / step) * step) });
}

function rough(seconds) {
  if (seconds < 90) return say("unit.second", { count: whole.format(seconds) });
  const minutes = seconds / 60;
  if (minutes < 10)
    return say("unit.minute", { count: new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(minutes) });
  const total = Math.round(minutes);
  if (total < 60) return say("unit.minute", { count: whole.format(total) });
  return say("unit.hour", { hours: whole.format(Math.floor(total / 60)), minutes: whole.format(total % 60) });
}
