// Disasters to practise: start one, watch it, read its report.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { insight, pause, request } from "../lib/api.js";
import { afterPaint, draw } from "../lib/draw.js";
import { count, duration } from "../lib/format.js";
import { badge, empty, failure, icon } from "../lib/parts.js";

export const title = "Drills";

const LOOK = 500; // milliseconds between two looks at a run
const LIST = 3000;
const KEPT = 1000;
const OWN = "own-cluster"; // the need of a drill that cannot run on a cluster that others use
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
  if (report) closeReport();
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
    afterPaint(() => document.querySelector("#runs-title")?.scrollIntoView({ block: "nearest" }));
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
    afterPaint(() => document.querySelector(".report button")?.focus());
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

const textOf = (drill) => `${drill.title || ""} ${drill.description || ""}`;

function catalogue() {
  if (!list) return error ? nothing : empty("Asking for the drills…");
  const wanted = needle.toLowerCase();
  const found = list.drills.filter((drill) => `${drill.name} ${textOf(drill)}`.toLowerCase().includes(wanted));
  if (!found.length) return empty(list.drills.length ? "No drill matches" : "No drill is shipped here");
  const busy = list.runs.some((run) => run.state === "running");
  return html`<ul class="card plain-list drills">${found.map((drill) => html`<li data-drill=${drill.name}>
    <div><h3>${drill.title || drill.name}</h3><p class="quiet">${drill.description}</p>
      <p class="about"><code>${drill.name}</code>${drill.seconds ? html`<span>about ${drill.seconds} s</span>` : nothing}
      ${(drill.needs || []).includes(OWN) ? html`<span>on a cluster of its own</span>` : nothing}</p></div>
    ${asking === drill.name
      ? html`<div class="ask" role="group" aria-label=${`Start ${drill.name}?`}><span>${(drill.needs || []).includes(OWN) ? "It starts a cluster of its own." : "This hurts the cluster."}</span>
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
    ${run.state === "running" ? now(events) : nothing}
    ${events.filter((event) => event.event === "verdict").map(verdict)}
    ${events.length ? html`<ol class="messages" tabindex="0" aria-label="Messages">${[...events].reverse().map(message)}</ol>` : empty("No word yet")}
  </article>`;
}

const PHASES = {
  start: "It begins", prepare: "The clients get ready", steady: "All is well", faults: "The faults begin", recovery: "Faults are undone; until everything is at work again",
  calm: "Everything is at work", judge: "What the clients saw is judged",
};
const WORDS = { fault: "fault", undone: "undone", note: "note", phase: "phase", run: "run", end: "end" };

// What a drill says, as `kuberaft drill --progress json` prints it; of its figures only the last are shown, by themselves.
function message(event) {
  if (event.event === "state" || event.event === "verdict") return nothing;
  const text = event.text ?? PHASES[event.phase] ?? (event.event === "run" ? `Run ${event.run} of ${event.runs}, seed ${event.seed}` : event.event === "end" ? (event.passed ? "Every promise was kept" : "A promise was broken") : JSON.stringify(event));
  return html`<li class=${`said said-${event.event || "plain"}`}><span class="when">${typeof event.time === "number" ? `${event.time.toFixed(1)} s` : ""}</span>
    <span class="what">${WORDS[event.event] || event.event || ""}</span><span class="words">${text}</span></li>`;
}

function now(events) {
  const last = events.findLast((event) => event.event === "state");
  if (!last) return nothing;
  return html`<dl class="tiles small">${[["Leader", last.leader || "nobody"], ["Masters", last.masters], ["Nodes", last.nodes], ["Writes", count(last.writes)], ["Reads", count(last.reads)], ["Errors", count(last.errors)]].map(
    ([name, value]) => html`<div class="tile"><dt class="quiet">${name}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "s") return `${value.toFixed(2)} s`;
  return unit === "share" ? `${(100 * value).toFixed(1)} %` : count(value);
}

const kept = (held) => (held === null || held === undefined ? nothing : badge(held ? "kept" : "broken", held ? "good" : "bad"));

function verdict(event) {
  return html`<div class="scroll"><table class="verdict"><thead><tr><th>Promise</th><th class="figure">Measured</th><th class="figure">Promised</th><th></th></tr></thead><tbody>
    ${(event.figures || []).map((one) => html`<tr><td>${one.title || one.name}</td><td class="figure">${figure(one.value, one.unit)}</td>
      <td class="figure quiet">${one.limit === null || one.limit === undefined ? "" : `≤ ${figure(one.limit, one.unit)}`}</td><td>${kept(one.held)}</td></tr>`)}
    ${(event.checks || []).map((one) => html`<tr><td>${one.name}</td><td colspan="2">${one.text}</td><td>${kept(one.held)}</td></tr>`)}
  </tbody></table></div>${(event.problems || []).map((text) => html`<div class="notice bad">${text}</div>`)}`;
}

function closeReport() {
  report = null;
  afterPaint(() => document.querySelector(".run .primary")?.focus());
}

function viewer() {
  const fill = (event) => {
    const frame = event.target;
    if (frame.dataset.filled === report?.id || !report) return;
    frame.dataset.filled = report.id;
    frame.contentWindow.postMessage({ report: report.text }, "*");
  };
  return html`<div class="veil full"><section class="card dialog report" role="dialog" aria-modal="true" aria-label="Report">
    <header><h2>${report.id}</h2><button class="plain" aria-label="Close the report" @click=${closeReport}>${icon("close")}</button></header>
    <iframe title="Report" src="viewer.html" sandbox="allow-scripts allow-popups allow-downloads" @load=${fill}></iframe>
  </section></div>`;
}
