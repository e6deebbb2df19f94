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
    const [old, now] = Array.isArray(before) ? named(before, after) : [before, after];
    for (const key of keysOf(old, now)) walk(`${path}/${escape(key)}`, old[key], now[key], changes);
    return;
  }
  changes.push({ path: path || "/", from: before, to: after });
}

// Items of a list that have a name of their own (conditions, containers) are compared with their namesakes, wherever
// these stand; else by their places.
function named(before, after) {
  for (const key of ["type", "name", "uid"]) {
    const maps = [before, after].map((list) => new Map(list.map((item) => [item?.[key], item])));
    const fits = (list, map) => map.size === list.length && [...map.keys()].every((name) => typeof name === "string");
    if (fits(before, maps[0]) && fits(after, maps[1])) return maps.map((map) => Object.fromEntries(map));
  }
  return [before, after];
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
