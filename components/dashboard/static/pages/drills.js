// Disasters to practise: start one, watch it, read its report.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { insight, pause, request } from "../lib/api.js";
import { draw } from "../lib/draw.js";
import { duration } from "../lib/format.js";
import { badge, empty, facts, failure, icon } from "../lib/parts.js";

export const title = "Drills";

const LOOK = 500; // milliseconds between two looks at a run
const LIST = 3000;
const KEPT = 1000;
const TONES = { running: "busy", passed: "good", failed: "bad", error: "bad", stopped: "" };

let list = null;
let error = null;
let needle = "";
let asking = ""; // the drill that is about to be started
let shown = null; // {id, run, events, next}
let report = null; // {id, text}
let alive = new AbortController().signal;

export function enter(parameters, signal) {
  alive = signal;
  list = null;
  error = asking = "";
  report = null;
  shown = null;
  follow(signal);
  if (parameters.run) open(parameters.run);
}

export function escape() {
  if (report) report = null;
  else if (asking) asking = "";
  else if (needle) needle = "";
  else shown = null;
}

async function follow(signal) {
  while (!signal.aborted) {
    await look(signal);
    await pause(LIST, signal).catch(() => {});
  }
}

async function look(signal = alive) {
  try {
    list = await request(insight("drills"), { signal });
    error = null;
    const active = list.runs.find((run) => run.state === "running");
    if (active && !shown) open(active.id);
  } catch (failed) {
    if (!signal.aborted) error = failed;
  }
  draw();
}

async function open(id) {
  const mine = { id, run: null, events: [], next: 0 };
  shown = mine;
  draw();
  while (shown === mine && !alive.aborted) {
    try {
      const answer = await request(insight(`drills/${id}`, { since: mine.next }), { signal: alive });
      mine.events = [...mine.events, ...answer.events].slice(-KEPT);
      mine.next = answer.next;
      mine.run = answer;
      mine.error = null;
    } catch (failed) {
      mine.error = failed;
      if (failed.code === 400) break;
    }
    draw();
    if (mine.run && mine.run.state !== "running") break;
    await pause(LOOK, alive).catch(() => {});
  }
  look();
}

async function start(name) {
  asking = "";
  try {
    const run = await request(insight("drills"), { method: "POST", body: { name, options: {} } });
    open(run.id);
  } catch (failed) {
    error = failed;
  }
  draw();
}

async function stop(id) {
  try {
    await request(insight(`drills/${id}`), { method: "DELETE" });
  } catch (failed) {
    error = failed;
  }
  draw();
}

async function read(id) {
  try {
    report = { id, text: await request(insight(`drills/${id}/report.html`), { text: true }) };
  } catch (failed) {
    error = failed;
  }
  draw();
}

export function view() {
  return html`<div class="page">
    <div class="headline"><h1>Drills</h1>
      <p class="quiet">Each hurts this cluster on purpose, works on it meanwhile, and judges what clients saw. Faults are undone at the end.</p></div>
    ${failure(error)}
    <div class="columns">
      <section aria-labelledby="catalogue-title"><div class="section-head"><h2 id="catalogue-title">To run</h2>
        <input type="search" placeholder="Find a drill" aria-label="Find a drill" .value=${needle}
          @input=${(event) => { needle = event.target.value; draw(); }}></div>${catalogue()}</section>
      <section aria-labelledby="runs-title"><h2 id="runs-title">${shown ? "Run" : "Runs"}</h2>${shown ? oneRun() : runs()}</section>
    </div>
    ${report ? viewer() : nothing}
  </div>`;
}

const textOf = (drill) => drill.description || drill.summary || drill.title || "";

function catalogue() {
  if (!list) return error ? nothing : empty("Asking for the drills…");
  const wanted = needle.toLowerCase();
  const found = list.drills.filter((drill) => `${drill.name} ${textOf(drill)}`.toLowerCase().includes(wanted));
  if (!found.length) return empty(list.drills.length ? "No drill matches" : "No drill is shipped here");
  const busy = list.runs.some((run) => run.state === "running");
  return html`<ul class="card plain-list drills">${found.map((drill) => html`<li data-drill=${drill.name}>
    <div><h3>${drill.name}</h3><p class="quiet">${textOf(drill)}</p></div>
    ${asking === drill.name
      ? html`<div class="ask" role="group" aria-label=${`Start ${drill.name}?`}><span>This hurts the cluster.</span>
          <button class="danger" @click=${() => start(drill.name)}>Start it</button><button @click=${() => { asking = ""; draw(); }}>No</button></div>`
      : html`<button ?disabled=${busy} @click=${() => { asking = drill.name; draw(); }}>Start</button>`}
  </li>`)}</ul>`;
}

function runs() {
  if (!list?.runs.length) return empty("Nothing was run yet", "Start a drill, and what happens shows here.");
  return html`<ul class="card plain-list">${list.runs.map((run) => html`<li><button class="link" @click=${() => open(run.id)}>${run.name}</button>
    ${badge(run.state, TONES[run.state])}<span class="quiet end">${ended(run)}</span></li>`)}</ul>`;
}

function ended(run) {
  const now = Date.now() / 1000;
  return run.ended ? `${duration((now - run.ended) * 1000)} ago, took ${duration((run.ended - run.started) * 1000)}` : `for ${duration((now - run.started) * 1000)}`;
}

function oneRun() {
  const { run, id, events } = shown;
  if (!run) return shown.error ? failure(shown.error) : empty("Asking…");
  return html`<article class="card run" data-run=${id} data-state=${run.state}>
    <header><h3>${run.name}</h3>${badge(run.state, TONES[run.state])}<span class="quiet end">${ended(run)}</span></header>
    ${failure(shown.error)}
    <div class="actions">
      ${run.report ? html`<button class="primary" @click=${() => read(id)}>Open the report</button>` : nothing}
      ${run.state === "running" ? html`<button @click=${() => stop(id)}>Stop</button>` : nothing}
      <button @click=${() => { shown = null; draw(); }}>All runs</button>
    </div>
    ${events.length ? html`<ol class="messages" tabindex="0" aria-label="Messages">${[...events].reverse().map(message)}</ol>` : empty("No word yet")}
  </article>`;
}

// A message says {"time"|"at", "phase"|"type"|"event", "text"|"message", ...}; what else it has is shown as it is.
function message(event) {
  const { time, at, elapsed, phase, type, event: name, kind, text, message: words, summary, ...rest } = event;
  const when = time ?? at ?? elapsed;
  const figures = Object.entries(rest).filter(([, value]) => typeof value !== "object" && value !== "");
  return html`<li><span class="when">${when === undefined ? "" : typeof when === "number" && when < 1e6 ? `${when.toFixed(1)} s` : String(when).slice(11, 19) || when}</span>
    <span class="what">${phase || type || name || kind || ""}</span>
    <span class="words">${text || words || summary || ""}${figures.length ? facts(figures.slice(0, 6).map(([key, value]) => [key, String(value)])) : nothing}</span></li>`;
}

function viewer() {
  const close = () => { report = null; draw(); };
  const fill = (event) => {
    const frame = event.target;
    if (frame.dataset.filled === report?.id || !report) return;
    frame.dataset.filled = report.id;
    frame.contentWindow.postMessage({ report: report.text }, "*");
  };
  return html`<div class="veil full"><section class="card dialog report" role="dialog" aria-modal="true" aria-label="Report">
    <header><h2>${report.id}</h2><button class="plain" aria-label="Close the report" @click=${close}>${icon("close")}</button></header>
    <iframe title="Report" src="viewer.html" sandbox="allow-scripts allow-popups allow-downloads" @load=${fill}></iframe>
  </section></div>`;
}
