// One object, or one request of kubectl, from the request to the running process; its revisions; the cluster as it was.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { insight, poll } from "../lib/api.js";
import { draw } from "../lib/draw.js";
import { ago } from "../lib/format.js";
import { virtualList } from "../lib/list.js";
import { KINDS, kindOf, label, naming, watch } from "../lib/objects.js";
import { empty, tabs } from "../lib/parts.js";
import { objectOf, storyOf } from "../lib/records.js";
import * as past from "./past.js";
import * as revisions from "./revisions.js";
import * as story from "./story.js";

export const title = "Timeline";

const TABS = [["story", "Story"], ["revisions", "Revisions"], ["then", "Cluster at a revision"]];
const PARTS = { story, revisions, then: past };
const LOOK = 2000; // records at a time
const REQUESTS = 500; // that are kept
const MODES = [["objects", "Objects"], ["requests", "Requests"]];

let mode = "objects";
let tab = "story";
let kind = kindOf("deployments");
let needle = "";
let chosen = null; // {kind, namespace, name}
let objects = new Map(); // uid -> {uid, namespace, name, created}
let sorted = null;
let requests = []; // newest first
let heardUntil = ""; // the time of the last record, asked for from there on
let picked = ""; // the request that was chosen
let picking = true; // on a narrow screen either the picker or the object is shown
let alive = new AbortController().signal;
let listing = new AbortController();
let part = new AbortController();

export function enter(parameters, signal) {
  alive = signal;
  signal.addEventListener("abort", () => {
    listing.abort();
    part.abort();
  });
  take(parameters);
  list();
}

export const turn = (parameters) => take(parameters);

export function escape() {
  if (needle) needle = "";
  else picking = true;
}

export const search = () => {
  picking = true;
  draw();
};

function take({ resource, group, namespace = "", name, tab: wanted, revision }) {
  if (wanted in PARTS) tab = wanted;
  if (name && kindOf(resource, group)) {
    chosen = { kind: kindOf(resource, group), namespace, name };
    picking = false;
  } else if (resource && name) {
    chosen = { kind: { resource, group: group || "", version: "v1", kind: resource, namespaced: Boolean(namespace) }, namespace, name };
    picking = false;
  }
  if (tab === "then") picking = false;
  begin(revision ? Number(revision) : null);
}

function begin(revision = null) {
  part.abort();
  part = new AbortController();
  PARTS[tab].begin(chosen, part.signal, revision);
  draw();
}

function list() {
  listing.abort();
  listing = new AbortController();
  objects = new Map();
  sorted = null;
  if (mode === "objects") watch(kind, { signal: listing.signal, onEvent: heard });
  else poll(() => insight("records", { source: "apiserver", limit: LOOK, since: heardUntil }), 2000, { signal: listing.signal, onItem: requested });
  draw();
}

function heard(type, object) {
  if (type === "RESET") objects.clear();
  else if (type === "DELETED") objects.delete(object.metadata.uid);
  else {
    const { uid, namespace = "", name, creationTimestamp } = object.metadata;
    objects.set(uid, { uid, namespace, name, created: creationTimestamp });
  }
  sorted = null;
  draw();
}

// People's requests first of all: a controller's are parts of somebody's story.
function requested({ records }) {
  const known = new Set(requests.map(idOf));
  const asked = records.filter((record) => !String(record.detail.user).startsWith("system:") && !known.has(idOf(record)));
  requests = [...asked.reverse(), ...requests].slice(0, REQUESTS);
  heardUntil = records.at(-1)?.time || heardUntil;
  draw();
}

const idOf = (record) => record.detail.auditID || record.time;

function found() {
  const wanted = needle.toLowerCase();
  sorted ??= [...objects.values()].sort((one, other) => (label(one.namespace, one.name) < label(other.namespace, other.name) ? -1 : 1));
  return wanted ? sorted.filter((one) => label(one.namespace, one.name).toLowerCase().includes(wanted)) : sorted;
}

function foundRequests() {
  const wanted = needle.toLowerCase();
  return requests.filter((record) => !wanted || `${record.summary} ${record.detail.user} ${objectOf(record.object)}`.toLowerCase().includes(wanted));
}

export function view() {
  return html`<div class=${`split ${picking ? "picking" : ""}`}>
    <aside aria-label="Pick">${picker()}</aside>
    <div class="split-main">
      <div class="split-head">
        <button class="narrow-only" @click=${() => { picking = true; draw(); }}>‹ Pick</button>
        ${heading()}
        ${tabs("Views", TABS, tab, (key) => { tab = key; begin(); })}
      </div>
      ${chosen || tab === "then" ? PARTS[tab].view(chosen) : empty("Pick an object or a request", "Its way through the cluster shows here: who asked, what became of it, who acted on it and why.")}
    </div>
  </div>`;
}

function heading() {
  if (tab === "then") return html`<h1>The cluster as it was</h1>`;
  if (!chosen) return html`<h1>Timeline</h1>`;
  return html`<h1><span class="quiet">${chosen.kind.kind}</span> ${label(chosen.namespace, chosen.name)}</h1>`;
}

function picker() {
  const chooseKind = (event) => {
    kind = KINDS[event.target.selectedIndex];
    list();
  };
  return html`
    ${tabs("What to follow", MODES, mode, (key) => { mode = key; list(); })}
    <div class="picker-fields">
      ${mode === "objects" ? html`<select aria-label="Kind" @change=${chooseKind}>${KINDS.map((one) => html`<option ?selected=${one === kind}>${one.kind}</option>`)}</select>` : nothing}
      <input type="search" placeholder="Search  /" aria-label="Search" .value=${needle} @input=${(event) => { needle = event.target.value; draw(); }}>
    </div>
    ${mode === "objects" ? objectList() : requestList()}`;
}

function objectList() {
  return virtualList({
    id: "pick-objects", items: found(), height: 44, label: `${kind.kind}s`,
    key: (one) => one.uid,
    choose: (one) => { location.hash = storyOf({ ...naming(kind, one.namespace, one.name) }); },
    chosen: (one) => chosen?.kind === kind && chosen.name === one.name && chosen.namespace === one.namespace,
    row: (one) => html`<span class="row-main"><b>${one.name}</b><small>${one.namespace || "cluster"}</small></span><small class="end">${ago(one.created)}</small>`,
    empty: html`<strong>No ${kind.kind}${needle ? " matches" : ""}</strong>`,
  });
}

function requestList() {
  return virtualList({
    id: "pick-requests", items: foundRequests(), height: 56, label: "Requests",
    key: idOf,
    choose: (record) => { picked = idOf(record); location.hash = storyOf(record.object); },
    chosen: (record) => idOf(record) === picked,
    row: (record) => html`<span class="row-main"><b>${record.detail.verb} ${record.object.resource}/${record.object.name}</b>
      <small>${[record.object.namespace, record.detail.user, client(record.detail.userAgent)].filter(Boolean).join(" · ")}</small></span><small class="end">${ago(record.time)}</small>`,
    empty: html`<strong>No request yet</strong><p>Change something with kubectl, and the request shows here.</p>`,
  });
}

const client = (agent) => String(agent || "").split(/[/ ]/)[0] || "a client";

