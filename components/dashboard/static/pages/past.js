// The whole cluster's objects at any revision that is still kept, beside what they are now.
//
// The API's own lists say both: with `resourceVersion` and `resourceVersionMatch=Exact`, and without.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { insight, pause, request } from "../lib/api.js";
import { diff } from "../lib/diff.js";
import { draw } from "../lib/draw.js";
import { count } from "../lib/format.js";
import { byKind, label, listPath, podState } from "../lib/objects.js";
import { badge, changes, empty, failure } from "../lib/parts.js";

const SHOWN = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod", "Service", "ConfigMap", "Node", "Namespace"].map(byKind);
const PAGE = 500; // objects of a kind
const ROWS = 60;
const SETTLE = 120; // milliseconds that the slider rests before the past is asked for

let bounds = null; // {oldest, current}
let at = null;
let now = null; // kind -> objects
let then = null;
let error = null;
let opened = "";
let asking = new AbortController();
let alive = new AbortController().signal;

export async function begin(_, signal, revision) {
  alive = signal;
  bounds = now = then = error = null;
  opened = "";
  signal.addEventListener("abort", () => asking.abort());
  try {
    const kept = await request(insight("revisions", { resource: "namespaces", name: "default" }), { signal });
    bounds = { oldest: Math.max(1, kept.oldest), current: kept.current };
    at = Math.min(Math.max(revision || at || kept.current, kept.oldest), kept.current);
    now = await lists(null, signal);
    await read();
  } catch (failed) {
    if (!signal.aborted) error = failed;
  }
  draw();
}

async function lists(revision, signal) {
  const exact = revision === null ? {} : { resourceVersion: revision, resourceVersionMatch: "Exact" };
  const found = await Promise.all(SHOWN.map((kind) => request(listPath(kind, { limit: PAGE, ...exact }), { signal, retries: 2 })));
  return new Map(SHOWN.map((kind, index) => [kind.kind, found[index].items || []]));
}

async function read() {
  asking.abort();
  asking = new AbortController();
  const signal = AbortSignal.any([asking.signal, alive]);
  try {
    await pause(SETTLE, signal);
    then = await lists(at, signal);
    error = null;
  } catch (failed) {
    if (!signal.aborted) error = failed;
  }
  draw();
}

function go(revision) {
  at = Math.max(bounds.oldest, Math.min(bounds.current, revision));
  read();
  draw();
}

export function view() {
  if (!bounds) return error ? failure(error) : empty("Asking what is kept…");
  return html`<div class="scrub card">
      <div class="scrub-line"><button aria-label="One revision back" @click=${() => go(at - 1)}>‹</button>
        <input type="range" id="scrubber" min=${bounds.oldest} max=${bounds.current} .value=${String(at)} aria-label="Revision of the cluster"
          @input=${(event) => go(Number(event.target.value))}>
        <button aria-label="One revision on" @click=${() => go(at + 1)}>›</button></div>
      <p><b>revision ${count(at)}</b> <span class="quiet">of ${count(bounds.oldest)} to ${count(bounds.current)}</span>
        <button class="link end" @click=${refresh}>to now</button></p>
    </div>
    ${failure(error)}
    ${then && now ? SHOWN.map(section) : empty("Reading the past…")}`;
}

async function refresh() {
  at = null;
  await begin(null, alive);
}

function section(kind) {
  const rows = compared(then.get(kind.kind), now.get(kind.kind));
  if (!rows.length) return nothing;
  const changed = rows.filter((row) => row.state !== "same").length;
  return html`<section class="then" data-kind=${kind.kind}><h3>${kind.kind} <small class="quiet">${count(then.get(kind.kind).length)} then${changed ? `, ${changed} differ from now` : ""}</small></h3>
    <ul class="card plain-list">${rows.slice(0, ROWS).map((row) => line(kind, row))}${rows.length > ROWS ? html`<li class="quiet">and ${rows.length - ROWS} more</li>` : nothing}</ul></section>`;
}

// Those that differ from now come first; what there was not yet is named too.
function compared(before, after) {
  const later = new Map(after.map((object) => [object.metadata.uid, object]));
  const rows = before.map((object) => {
    const today = later.get(object.metadata.uid);
    later.delete(object.metadata.uid);
    const state = !today ? "gone" : today.metadata.resourceVersion === object.metadata.resourceVersion ? "same" : "changed";
    return { object, today, state };
  });
  for (const today of later.values()) rows.push({ object: null, today, state: "later" });
  const order = { gone: 0, changed: 1, same: 2, later: 3 };
  return rows.sort((one, other) => order[one.state] - order[other.state]);
}

const STATES = { gone: ["gone now", "bad"], changed: ["different now", "accent"], same: ["as now", ""], later: ["not yet there", "ghost"] };

function line(kind, { object, today, state }) {
  const shown = object || today;
  const id = `${kind.kind}/${shown.metadata.uid}`;
  const turn = () => { opened = opened === id ? "" : id; draw(); };
  return html`<li class=${`then-row ${state}`} data-name=${shown.metadata.name} data-state=${state}>
    <button class="then-line" aria-expanded=${opened === id ? "true" : "false"} ?disabled=${state !== "changed"} @click=${turn}>
      <b>${label(shown.metadata.namespace, shown.metadata.name)}</b><span class="quiet">${object ? gist(kind, object) : ""}</span>
      <span class="end">${badge(...STATES[state])}</span></button>
    ${opened === id ? html`<div class="then-diff"><p class="quiet">From then to now</p>${changes(diff(object, today))}</div>` : nothing}
  </li>`;
}

function gist(kind, object) {
  const { spec = {}, status = {} } = object;
  switch (kind.kind) {
    case "Pod": return [podState(object), spec.nodeName && `on ${spec.nodeName}`].filter(Boolean).join(" ");
    case "Deployment": case "ReplicaSet": case "StatefulSet": return `${status.readyReplicas || 0} of ${spec.replicas ?? 0} ready`;
    case "DaemonSet": return `${status.numberReady || 0} of ${status.desiredNumberScheduled || 0} ready`;
    case "Node": return (status.conditions || []).some((one) => one.type === "Ready" && one.status === "True") ? "Ready" : "NotReady";
    case "Service": return spec.clusterIP || "";
    case "Job": return `${status.succeeded || 0} succeeded`;
    default: return "";
  }
}
