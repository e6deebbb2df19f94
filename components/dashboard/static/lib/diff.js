// What differs between two objects: a list of {path, from, to}, in the order of the paths.
const NOISE = new Set(["/metadata/resourceVersion", "/metadata/managedFields"]);

export function diff(before, after) {
  const changes = [];
  walk("", before ?? undefined, after ?? undefined, changes);
  return changes.filter((change) => !NOISE.has(change.path));
}

function walk(path, before, after, changes) {
  if (NOISE.has(path) || same(before, after)) return;
  if (isTree(before) && isTree(after) && Array.isArray(before) === Array.isArray(after)) {
    for (const key of keysOf(before, after)) walk(`${path}/${escape(key)}`, before[key], after[key], changes);
    return;
  }
  changes.push({ path: path || "/", from: before, to: after });
}

const isTree = (value) => typeof value === "object" && value !== null;

const keysOf = (before, after) => [...new Set([...Object.keys(before), ...Object.keys(after)])];

const escape = (key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1");

function same(one, other) {
  if (one === other) return true;
  if (!isTree(one) || !isTree(other)) return false;
  return JSON.stringify(one) === JSON.stringify(other);
}

export function brief(value) {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, isTree(value) ? 2 : 0);
}
