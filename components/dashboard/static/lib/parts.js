// Small pieces that several pages show.
import { html, nothing, svg } from "../vendor/lit-html/lit-html.js";
import { brief } from "./diff.js";
import { draw } from "./draw.js";

const paths = {
  cluster: svg`<circle cx="12" cy="5" r="2.5"/><circle cx="5" cy="18" r="2.5"/><circle cx="19" cy="18" r="2.5"/><path d="M10.8 7.3 6.3 15.8M13.2 7.3l4.5 8.5M7.5 18h9"/>`,
  timeline: svg`<path d="M6 4v16"/><circle cx="6" cy="7" r="2"/><circle cx="6" cy="16" r="2"/><path d="M11 7h8M11 16h6"/>`,
  watch: svg`<path d="M3 12h4l2.5-7 4.5 14 2.5-7H21"/>`,
  drills: svg`<path d="M13 3 5 14h6l-1 7 9-12h-7z"/>`,
  theme: svg`<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/>`,
  search: svg`<circle cx="11" cy="11" r="6"/><path d="m16 16 4 4"/>`,
  close: svg`<path d="m6 6 12 12M18 6 6 18"/>`,
  help: svg`<circle cx="12" cy="12" r="8.5"/><path d="M9.8 9.6a2.3 2.3 0 1 1 3.4 2c-.8.5-1.2 1-1.2 1.9M12 16.4v.2"/>`,
  leave: svg`<path d="M14 5H6v14h8M11 12h9m-3.5-3.5L20 12l-3.500 3.500"/>`,
};

export const icon = (name) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">${paths[name]}</svg>`;

export const badge = (text, tone = "") => html`<span class=${`badge ${tone}`}>${text}</span>`;

export const empty = (title, text = nothing) => html`<div class="empty"><strong>${title}</strong><p>${text}</p></div>`;

export const failure = (error) => (error ? html`<div class="notice bad" role="alert">${error.message || String(error)}</div>` : nothing);

// Who did not answer, as every answer of insight says it.
export function missing(list) {
  if (!list?.length) return nothing;
  return html`<div class="notice">Not told by ${list.map((one) => one.instance).join(", ")}: ${list[0].error}</div>`;
}

// A row of choices of which one holds. Arrows move, as in a radio group.
export function tabs(name, choices, chosen, choose) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = choices.findIndex(([key]) => key === chosen);
    const next = (at + step + choices.length) % choices.length;
    choose(choices[next][0]);
    const buttons = event.currentTarget.querySelectorAll("button");
    buttons[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${name} @keydown=${move}>${choices.map(
    ([key, text, extra]) => html`<button
      role="tab" aria-selected=${key === chosen ? "true" : "false"} tabindex=${key === chosen ? 0 : -1}
      data-tab=${key} @click=${() => { choose(key); draw(); }}
    >${text}${extra ? html`<span class="tab-extra">${extra}</span>` : nothing}</button>`,
  )}</div>`;
}

export function spark(values, tone = "") {
  if (values.length < 2) return svg`<svg class="spark" viewBox="0 0 100 24"></svg>`;
  const high = Math.max(...values, 1e-9);
  const points = values.map((value, at) => `${((at / (values.length - 1)) * 100).toFixed(1)},${(22 - (value / high) * 20).toFixed(1)}`);
  return html`<svg class=${`spark ${tone}`} viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <polyline points=${points.join(" ")}></polyline></svg>`;
}

export const meter = (share, tone = "") =>
  html`<span class=${`meter ${tone}`}><span .style=${`width:${Math.max(0, Math.min(100, share * 100)).toFixed(1)}%`}></span></span>`;

export const facts = (pairs) =>
  html`<dl class="facts">${pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  )}</dl>`;

export function changes(list) {
  if (!list.length) return html`<p class="quiet">Nothing but its version.</p>`;
  return html`<div class="changes">${list.map(
    (change) => html`<div class=${`change ${isShort(change) ? "short" : ""}`}>
      <code class="path">${change.path}</code>
      ${change.from === undefined ? nothing : html`<pre class="from">${brief(change.from)}</pre>`}
      ${isShort(change) ? html`<span class="quiet">→</span>` : nothing}
      ${change.to === undefined ? nothing : html`<pre class="to">${brief(change.to)}</pre>`}
    </div>`,
  )}</div>`;
}

// Both sides fit into one line.
const isShort = ({ from, to }) => [from, to].every((value) => value !== undefined && (typeof value !== "object" || value === null) && String(value).length < 40);

export const json = (value) => html`<pre class="json">${JSON.stringify(value, null, 2)}</pre>`;
