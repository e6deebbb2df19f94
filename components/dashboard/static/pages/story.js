// The story of an object and its family, step by step, with what explains its state on top.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { insight, pause, request } from "../lib/api.js";
import { draw } from "../lib/draw.js";
import { ago, clock, instant, milliseconds } from "../lib/format.js";
import { naming } from "../lib/objects.js";
import { empty, failure, missing } from "../lib/parts.js";
import { STEPS, detail, failed, objectOf, stepBadge, stepOf, storyOf, who } from "../lib/records.js";

const QUICK = 1000; // milliseconds between two looks while something happens
const SLOW = 5000;
const SHOWN = 250; // entries at a time
const MINOR = new Set(["entry", "revision", "watch"]); // what every write does: one quiet line each
const GAP = 3000; // milliseconds without an entry that are worth a line

let told = null; // the Story
let why = null; // the Explanation
let error = null;
let hidden = new Set(); // steps that are not shown
let opened = new Set();
let limit = SHOWN;
let subject = "";

export async function begin(chosen, signal) {
  if (!chosen) return;
  const named = naming(chosen.kind, chosen.namespace, chosen.name);
  if (subject !== JSON.stringify(named)) {
    subject = JSON.stringify(named);
    told = why = error = null;
    opened = new Set();
    limit = SHOWN;
  }
  let changed = Date.now();
  while (!signal.aborted) {
    const before = told?.entries.length;
    if (!document.hidden) await look(named, signal);
    if (told?.entries.length !== before) changed = Date.now();
    draw();
    await pause(Date.now() - changed < 10000 ? QUICK : SLOW, signal).catch(() => {});
  }
}

async function look(named, signal) {
  try {
    const [story, explanation] = await Promise.all([
      request(insight("story", named), { signal }),
      request(insight("why", named), { signal, retries: 0 }).catch(() => null),
    ]);
    told = story;
    why = explanation;
    error = null;
  } catch (failure) {
    if (!signal.aborted) error = failure;
  }
}

export function view() {
  if (!told) return error ? failure(error) : empty("Asking the masters and kubelets…");
  const entries = told.entries.filter((entry) => !hidden.has(stepOf(entry)));
  const first = Math.max(0, entries.length - limit);
  const shown = entries.slice(first);
  return html`${failure(error)}${missing(told.missing)}${explanation()}${family()}${filters()}
    ${told.entries.length ? nothing : empty("Nothing is remembered of it", "Components keep their last decisions in memory. What happened before they started is not among them.")}
    ${first ? html`<button class="link" @click=${() => { limit += SHOWN; draw(); }}>${first} earlier</button>` : nothing}
    <ol class="story" data-entries=${told.entries.length}>${repeat(shown, keyOf, (entry, at) => item(entry, shown[at - 1]))}</ol>`;
}

const keyOf = (entry) => `${entry.time}|${stepOf(entry)}|${entry.instance}|${entry.summary}`;

function explanation() {
  if (!why?.headline) return nothing;
  return html`<section class="card why" aria-label="Why">
    <p class="why-head">${why.headline}</p>
    ${why.facts?.length ? html`<ul class="plain-list tight">${why.facts.map((fact) => html`<li><span>${fact.text}
      ${fact.remedy ? html`<br><span class="remedy">${fact.remedy}</span>` : nothing}</span>
      <span class="quiet end">${[fact.evidence, fact.since ? ago(fact.since) : ""].filter(Boolean).join(" · ")}</span></li>`)}</ul>` : nothing}
    ${why.lastChange ? html`<p class="quiet">Last changed by <b>${why.lastChange.user}</b> (${why.lastChange.verb}${why.lastChange.fields?.length ? html`: ${why.lastChange.fields.slice(0, 4).join(", ")}` : nothing}), ${ago(why.lastChange.time)}.</p>` : nothing}
  </section>`;
}

function family() {
  if (!(told.family?.length > 1)) return nothing;
  const many = told.family.length - 12;
  return html`<nav class="family" aria-label="Family">${told.family.slice(0, 12).map((one) => html`<a
    href=${storyOf(one)} aria-current=${one.name === told.object.name && one.resource === told.object.resource ? "true" : nothing}><small>${one.kind || one.resource}</small> ${one.name}</a>`)}
    ${many > 0 ? html`<span class="quiet">and ${many} more</span>` : nothing}</nav>`;
}

function filters() {
  const counts = new Map();
  for (const entry of told.entries) counts.set(stepOf(entry), (counts.get(stepOf(entry)) || 0) + 1);
  const turn = (step) => {
    if (!hidden.delete(step)) hidden.add(step);
    draw();
  };
  return html`<div class="chips" role="group" aria-label="Steps">${Object.keys(STEPS).filter((step) => counts.has(step)).map(
    (step) => html`<button class=${`chip step-${step}`} aria-pressed=${hidden.has(step) ? "false" : "true"} @click=${() => turn(step)}><i class="dot"></i>${STEPS[step]}<small>${counts.get(step)}</small></button>`,
  )}</div>`;
}

function item(entry, before) {
  const key = keyOf(entry);
  const passed = before ? instant(entry.time) - instant(before.time) : 0;
  const turn = () => {
    if (!opened.delete(key)) opened.add(key);
    draw();
  };
  const open = opened.has(key);
  const minor = MINOR.has(stepOf(entry));
  return html`${passed > GAP ? html`<li class="gap">${milliseconds(passed)} later</li>` : nothing}
    <li class=${`entry ${minor ? "minor" : ""} step-${stepOf(entry)} ${failed(entry) ? "failed" : ""}`} data-step=${stepOf(entry)}>
      <button class="entry-line" aria-expanded=${open ? "true" : "false"} @click=${turn}>
        <span class="when" title=${entry.time}>${clock(entry.time)}<small>${before && passed <= GAP ? `+${milliseconds(Math.max(0, passed))}` : ""}</small></span>
        <i class="dot"></i>
        <span class="words">${entry.summary}${minor ? nothing : html`<small>${stepBadge(entry)} ${who(entry)}${entry.object?.name && entry.object.name !== told.object.name ? ` · ${objectOf(entry.object)}` : ""}${entry.revision ? ` · revision ${entry.revision}` : ""}</small>`}</span>
      </button>
      ${open ? detail(entry) : nothing}
    </li>`;
}

