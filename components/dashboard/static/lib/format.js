// Numbers and times as people read them.
export const count = (number) => (number === null || number === undefined ? "–" : Number(number).toLocaleString("en-US"));

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = Number(number);
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function milliseconds(number) {
  if (number === null || number === undefined) return "–";
  const value = Number(number);
  if (value < 1) return `${value.toFixed(2)} ms`;
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
}

// Milliseconds since 1970, with the microseconds that Date leaves out.
export function instant(text) {
  if (!text) return NaN;
  const fraction = /\.(\d+)/.exec(text);
  const whole = Date.parse(text.replace(/\.\d+/, ""));
  return fraction ? whole + Number(`0.${fraction[1]}`) * 1000 : whole;
}

export function clock(text) {
  const at = new Date(instant(text));
  if (Number.isNaN(at.getTime())) return "";
  const two = (number) => String(number).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export function ago(text, now = Date.now()) {
  const passed = now - instant(text);
  if (Number.isNaN(passed)) return "";
  return passed < 1500 ? "just now" : `${duration(passed)} ago`;
}

export function duration(passed) {
  const seconds = Math.max(0, Math.round(passed / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
