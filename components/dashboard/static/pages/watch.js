// What happens now: objects as they change, what components decide, events, queues.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { insight, poll, stream } from "../lib/api.js";
import { diff } from "../lib/diff.js";
import { draw } from "../lib/draw.js";
import { ago, clock, count, instant, milliseconds } from "../lib/format.js";
import { held, toTop, virtualList } from "../lib/list.js";
import { EVENTS, KINDS, byKind, kindOf, label, naming, podState, watch } from "../lib/objects.js";
import { badge, changes, empty, failure, icon, missing, tabs } from "../lib/parts.js";
import { SOURCES, detail, failed, objectOf, stepBadge, stepOf, storyOf } from "../lib/records.js";

export const title = "Watch";

const KEPT = 3000; // lines
const LATE = 100; // lines that one may have to be put before
const EVENTS_KEPT = 1000;
const TABS = [["stream", "Stream"], ["events", "Events"], ["controllers", "Controllers"], ["scheduler", "Scheduler"]];
const VERBS = { ADDED: "good", MODIFIED: "accent", DELETED: "bad" };

let tab = "stream";
let needle = "";
let kind = kindOf("pods");
let silent = new Set(); // sources that are not shown
let lines = []; // newest last: {id, at, time, source, record | type, object, before}
let last = null; // what was shown last: while paused or held it stays
let lastAt = 0; // `number` at that moment
let paused = false;
let opened = null;
let number = 0;
let events = new Map();
let latestEvents = null; // the same, newest first
let controllers = null;
let error = null;
let states = { records: "lost", objects: "lost" };
let following = new AbortController(); // what the tab that is shown follows
let alive = new AbortController().signal;
const latest = new Map(); // uid -> object, for diffs

export function enter(parameters, signal) {
  alive = signal;
  signal.addEventListener("abort", () => following.abort());
  if (TABS.some(([key]) => key === parameters.tab)) tab = parameters.tab;
  lines = [];
  events = new Map();
  latestEvents = null;
  last = opened = error = null;
  follow();
}

// Only what the tab shows: a browser has few connections.
function follow() {
  following.abort();
  following = new AbortController();
  const signal = AbortSignal.any([following.signal, alive]);
  if (tab === "stream") {
    stream(() => insight("records", { watch: "true" }), { signal, onItem: recorded, onState: state("records") });
    followKind(signal);
  } else if (tab === "events") {
    events.clear();
    latestEvents = null;
    watch(EVENTS, { signal, onEvent: happened, onState: state("events") });
  } else {
    poll(() => insight("controllers"), 1500, {
      signal,
      onItem: (answer) => { controllers = answer; error = null; draw(); },
      onError: (failure) => { error = failure; draw(); },
    });
  }
}

const state = (name) => (value, why) => {
  states[name] = value;
  if (why) error = why;
  draw();
};

function followKind(signal) {
  latest.clear();
  let begun = Date.now();
  watch(kind, {
    signal,
    onState: state("objects"),
    onEvent: (type, object) => {
      if (type === "RESET") {
        begun = Date.now();
        return;
      }
      const { uid } = object.metadata;
      const before = latest.get(uid);
      if (type === "DELETED") latest.delete(uid);
      else latest.set(uid, object);
      const told = type === "ADDED" && Date.parse(object.metadata.creationTimestamp) < begun - 1500;
      if (!told) keep({ source: "object", type, object, before, kind: kind.kind });
    },
  });
}

function recorded(item) {
  if (item.type === "RECORD") keep({ source: item.record.source, time: item.record.time, record: item.record });
}

function keep(line) {
  number += 1;
  const kept = { id: number, time: new Date().toISOString(), ...line };
  lines.splice(place(kept.time), 0, kept);
  if (lines.length > KEPT + 500) lines = lines.slice(-KEPT);
  draw();
}

// Where a line belongs: those of other masters come a little later than they happened.
function place(time) {
  const at = instant(time);
  let index = lines.length;
  for (let back = 0; back < LATE && index > 0 && instant(lines[index - 1].time) > at; back += 1) index -= 1;
  return index;
}

function happened(type, event) {
  latestEvents = null;
  if (type === "RESET") events.clear();
  else if (type === "DELETED") events.delete(event.metadata.uid);
  else {
    events.delete(event.metadata.uid);
    events.set(event.metadata.uid, event);
    if (events.size > EVENTS_KEPT) events.delete(events.keys().next().value);
  }
  draw();
}

export function escape() {
  if (opened) opened = null;
  else if (needle) refine("");
}

function refine(text) {
  needle = text;
  last = null;
  draw();
}

export function view() {
  const named = { stream: streamView, events: eventsView, controllers: controllersView, scheduler: schedulerView };
  return html`<div class="page watch">
    <div class="section-head">${tabs("Views", TABS, tab, (key) => { tab = key; opened = error = null; follow(); })}
      ${tab === "stream" || tab === "events" ? html`<input type="search" placeholder="Filter  /" aria-label="Filter" .value=${needle}
        @input=${(event) => refine(event.target.value)}>` : nothing}</div>
    ${failure(error)}${named[tab]()}
  </div>`;
}

const textOf = (line) =>
  line.record
    ? `${line.source} ${line.record.component} ${line.record.instance} ${line.record.summary} ${objectOf(line.record.object)}`
    : `${line.kind} ${line.type} ${label(line.object.metadata.namespace, line.object.metadata.name)} ${gist(line)}`;

function gist({ kind: name, type, object }) {
  if (type === "DELETED") return "deleted";
  if (name === "Pod") return [podState(object), object.spec.nodeName && `on ${object.spec.nodeName}`].filter(Boolean).join(" ");
  if (object.spec?.replicas !== undefined) return `${object.status?.readyReplicas || 0} of ${object.spec.replicas} ready`;
  return type.toLowerCase();
}

function shown() {
  const hold = paused || held("stream");
  if (hold && last) return last;
  const wanted = needle.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (line) => !silent.has(line.source) && (!wanted.length || matches((line.text ??= textOf(line).toLowerCase()), wanted));
  const found = lines.filter(fits).reverse();
  last = found;
  lastAt = number;
  return found;
}

const matches = (text, wanted) => wanted.every((word) => (word.startsWith("-") && word.length > 1 ? !text.includes(word.slice(1)) : text.includes(word)));

function streamView() {
  const found = shown();
  const newer = number - lastAt;
  const live = states.records === "open" || states.objects === "open";
  return html`<div class="toolbar">
      <div class="chips" role="group" aria-label="Sources">${["object", ...SOURCES].map((source) => html`<button class=${`chip source-${source}`}
        aria-pressed=${silent.has(source) ? "false" : "true"} @click=${() => turn(source)}><i class="dot"></i>${source === "object" ? "objects" : source}</button>`)}</div>
      <select aria-label="Objects of kind" @change=${(event) => { kind = KINDS[event.target.selectedIndex]; follow(); draw(); }}>
        ${KINDS.map((one) => html`<option ?selected=${one === kind}>${one.kind}</option>`)}</select>
      <button aria-pressed=${paused ? "true" : "false"} @click=${() => { paused = !paused; if (!paused) last = null; draw(); }}>${paused ? "Go on" : "Pause"}</button>
      <span class="quiet end" role="status"><i class=${`dot ${live ? "good" : "busy"}`}></i> ${live ? `${count(lines.length)} lines` : "connecting…"}</span>
    </div>
    <div class=${`with-panel ${opened ? "open" : ""}`}>
      <div class="card stream">
        ${newer && !paused ? html`<button class="newer" @click=${() => { last = null; toTop("stream"); }}>${count(newer)} newer ↑</button>` : nothing}
        ${virtualList({
          id: "stream", items: found, height: innerWidth > 700 ? 40 : 52, look: "line", label: "What happens", key: (line) => line.id, row: lineRow,
          choose: (line) => { opened = line; draw(); }, chosen: (line) => line === opened,
          empty: html`<strong>${lines.length ? "Nothing matches" : "Quiet"}</strong><p>${lines.length ? "Another filter may find more." : "What is written to the API, decided and started shows here as it happens."}</p>`,
        })}
      </div>
      ${opened ? panel() : nothing}
    </div>`;
}

function turn(source) {
  if (!silent.delete(source)) silent.add(source);
  last = null;
  draw();
}

function lineRow(line) {
  const { record } = line;
  if (record) {
    return html`<span class="when">${clock(line.time)}</span><span class=${`source source-${line.source}`}>${record.component || line.source}</span>
      <span class=${`words ${failed(record) ? "failed" : ""}`}>${record.summary}</span><small class="end wide-only">${record.instance}</small>`;
  }
  return html`<span class="when">${clock(line.time)}</span><span class="source source-object">${line.kind}</span>
    <span class="words">${label(line.object.metadata.namespace, line.object.metadata.name)} <span class="quiet">${gist(line)}</span></span>
    <small class="end">${badge(line.type.toLowerCase(), VERBS[line.type])}</small>`;
}

function panel() {
  const close = () => { opened = null; draw(); };
  const { record, object, before } = opened;
  const target = record?.object?.name ? record.object : object ? naming(byKind(opened.kind), object.metadata.namespace, object.metadata.name) : null;
  return html`<aside class="card panel" aria-label="Detail">
    <header><h3>${record ? record.summary : label(object.metadata.namespace, object.metadata.name)}</h3><button class="plain" aria-label="Close" @click=${close}>${icon("close")}</button></header>
    ${target ? html`<a class="story-link" href=${storyOf(target)}>Its story →</a>` : nothing}
    ${record ? html`${stepBadge(record)}${detail(record)}` : html`<p class="quiet">${opened.type.toLowerCase()} at revision ${object.metadata.resourceVersion}</p>
      ${before ? changes(diff(before, object)) : html`<p class="quiet">${gist(opened)}</p>`}`}
  </aside>`;
}

const timeOf = (event) => event.series?.lastObservedTime || event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp;

function eventsView() {
  const wanted = needle.toLowerCase();
  const text = (event) => `${event.reason} ${event.note || event.message} ${event.involvedObject?.kind || ""} ${event.involvedObject?.name || ""} ${event.type}`.toLowerCase();
  latestEvents ??= [...events.values()].sort((one, other) => instant(timeOf(other)) - instant(timeOf(one)));
  const found = latestEvents.filter((event) => !wanted || text(event).includes(wanted));
  return html`<div class="card stream">${virtualList({
    id: "events", items: found, height: 56, label: "Events", key: (event) => event.metadata.uid,
    choose: (event) => {
      const about = KINDS.find((one) => one.kind === event.involvedObject?.kind);
      if (about) location.hash = storyOf(naming(about, event.involvedObject.namespace, event.involvedObject.name));
    },
    row: (event) => html`<span class="row-main"><span>${event.message}</span><small>${badge(event.reason, event.type === "Warning" ? "bad" : "")} ${event.involvedObject?.kind}
      ${label(event.involvedObject?.namespace, event.involvedObject?.name)}${event.count > 1 ? ` · ${event.count} times` : ""}</small></span>
      <small class="end">${ago(timeOf(event))}</small>`,
    empty: html`<strong>${events.size ? "No event matches" : "No events"}</strong>`,
  })}</div>`;
}

function controllersView() {
  if (!controllers) return error ? nothing : empty("Asking the controllers…");
  const all = [...controllers.controllers].sort((one, other) => (one.name < other.name ? -1 : 1));
  return html`${missing(controllers.missing)}<div class="card scroll"><table class="controllers"><thead><tr><th>Controller</th><th>Runs on</th><th class="figure">Queue</th>
    <th class="figure">Working</th><th class="figure">Retries</th><th>Last decision</th></tr></thead>
    <tbody>${all.filter((one) => one.leading !== false).map((one) => html`<tr data-controller=${one.name}><td><b>${one.name}</b></td><td data-is="on">${one.instance}</td>
      <td class="figure" data-is="queue">${busy(one.queue)}</td><td class="figure" data-is="working">${busy(one.processing)}</td><td class="figure" data-is="retries">${busy(one.retries)}</td>
      <td>${one.lastDecision ? html`<span class=${failed(one.lastDecision) ? "failed" : ""}>${one.lastDecision.summary.replace(`${one.name}: `, "")}</span> <small class="quiet">${ago(one.lastDecision.time)}</small>` : html`<span class="quiet">none yet</span>`}</td></tr>`)}</tbody></table></div>`;
}

const busy = (value) => (value ? html`<b>${count(value)}</b>` : html`<span class="quiet">${count(value ?? null)}</span>`);

function schedulerView() {
  const scheduler = controllers?.scheduler;
  if (!scheduler) return error ? nothing : empty("Asking the scheduler…");
  const last = [...(scheduler.last || [])].sort((one, other) => (one.time < other.time ? 1 : -1));
  return html`<div class="tiles">${[["Active", scheduler.active], ["Backing off", scheduler.backoff], ["Unschedulable", scheduler.unschedulable]].map(
    ([name, value]) => html`<div class="card tile"><span class="quiet">${name}</span><b>${count(value ?? null)}</b></div>`,
  )}<div class="card tile"><span class="quiet">Leads</span><b>${scheduler.instance || "–"}</b></div></div>
  ${last.length ? html`<ul class="decisions">${last.map((record) => html`<li class="card"><details><summary>
      ${badge(record.detail?.result || stepOf(record), record.detail?.result === "bound" ? "good" : "bad")}
      <span class="words">${record.summary}</span><span class="quiet end">${record.detail?.ms === undefined ? "" : `${milliseconds(record.detail.ms)} · `}${ago(record.time)}</span></summary>
      ${detail(record)}${record.object?.name ? html`<a class="story-link" href=${storyOf(record.object)}>Its story →</a>` : nothing}</details></li>`)}</ul>`
    : empty("No pod was scheduled yet", "The last decisions, with each node's filter and score, show here.")}`;
}

