// What one object was, revision by revision, and what each of them changed.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { insight, request } from "../lib/api.js";
import { diff } from "../lib/diff.js";
import { draw } from "../lib/draw.js";
import { ago, count } from "../lib/format.js";
import { naming } from "../lib/objects.js";
import { badge, changes, empty, failure, json, tabs } from "../lib/parts.js";

const TONES = { created: "good", modified: "accent", deleted: "bad" };
const SHOWS = [["changes", "Changes"], ["object", "Object"]];

let list = null;
let error = null;
let at = 0;
let shows = "changes";

export async function begin(chosen, signal, revision) {
  list = error = null;
  if (!chosen) return;
  try {
    list = await request(insight("revisions", naming(chosen.kind, chosen.namespace, chosen.name)), { signal });
    const wanted = revision ? list.revisions.findIndex((one) => one.revision === revision) : -1;
    at = wanted >= 0 ? wanted : list.revisions.length - 1;
  } catch (failed) {
    if (!signal.aborted) error = failed;
  }
  draw();
}

export function view() {
  if (!list) return error ? failure(error) : empty("Reading its history…");
  const all = list.revisions;
  if (!all.length) return empty("No revision is kept", `The store keeps revisions from ${count(list.oldest)} on.`);
  const one = all[at];
  const before = all[at - 1];
  const move = (event) => { at = Number(event.target.value); draw(); };
  return html`<div class="scrub card">
      <div class="scrub-line"><button aria-label="Earlier" ?disabled=${at === 0} @click=${() => { at -= 1; draw(); }}>‹</button>
        <input type="range" min="0" max=${all.length - 1} .value=${String(at)} aria-label="Revision" aria-valuetext=${`revision ${one.revision}`} @input=${move}>
        <button aria-label="Later" ?disabled=${at === all.length - 1} @click=${() => { at += 1; draw(); }}>›</button></div>
      <p><b>revision ${count(one.revision)}</b> ${badge(one.type, TONES[one.type])}
        <span class="quiet">${[one.user && `by ${one.user}`, one.time && ago(one.time), `${at + 1} of ${all.length}`].filter(Boolean).join(" · ")}</span></p>
    </div>
    ${tabs("What to show", SHOWS, shows, (key) => { shows = key; })}
    ${shows === "object" ? json(one.object) : summary(one, before)}`;
}

function summary(one, before) {
  if (!before) return html`<p class="quiet">${one.type === "created" ? "Created so:" : "The oldest that is kept:"}</p>${json(one.object)}`;
  if (one.type === "deleted") return html`<p class="quiet">Deleted. What it was:</p>${json(before.object)}`;
  return html`<p class="quiet">Since revision ${count(before.revision)}${nothing}</p>${changes(diff(before.object, one.object))}`;
}
