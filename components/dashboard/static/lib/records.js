// How a record of insight is shown: one line, and what is behind it.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { clock, milliseconds } from "./format.js";
import { badge, facts, json } from "./parts.js";

export const STEPS = {
  request: "request",
  entry: "Raft entry",
  revision: "revision",
  watch: "watchers",
  decision: "controller",
  schedule: "scheduler",
  kubelet: "kubelet",
  process: "process",
  event: "event",
};

export const SOURCES = ["apiserver", "controller", "scheduler", "kubelet"];

export const objectOf = (object) => (object ? `${object.resource || object.kind || ""}${object.namespace ? ` ${object.namespace}/` : " "}${object.name || ""}`.trim() : "");

export const storyOf = ({ resource, group, namespace, name }) =>
  `#/timeline?${new URLSearchParams(Object.entries({ resource, group, namespace, name }).filter(([, value]) => value))}`;

// The step of a record that comes from a stream, where insight names none.
export function stepOf(record) {
  if (record.step) return record.step;
  return { apiserver: "request", scheduler: "schedule", controller: "decision", kubelet: "kubelet" }[record.source] || "event";
}

export const who = (record) => [record.component || record.source, record.instance].filter(Boolean).join(" on ");

export function detail(record) {
  const all = record.detail || {};
  const show = { request, schedule, decision }[stepOf(record)];
  return html`<div class="detail">
    ${facts([["at", clock(record.time)], ["by", who(record)], ["object", objectOf(record.object)], ["revision", record.revision]])}
    ${show ? show(all) : others(all, [])}
  </div>`;
}

function request(all) {
  const admission = all.admission || [];
  const timed = all.steps || [];
  return html`
    ${facts([
      ["user", all.user], ["groups", (all.groups || []).join(", ")], ["client", all.userAgent], ["verb", [all.verb, all.subresource].filter(Boolean).join(" ")],
      ["answer", all.code], ["dry run", all.dryRun ? "yes" : ""], ["Raft entry", all.index], ["proposed by", all.proposed], ["before", all.previousRevision], ["audit id", all.auditID],
    ])}
    ${admission.length ? html`<h4>Admission</h4><ul class="plain-list tight">${admission.map((one) => html`<li><b>${one.plugin}</b>
      <span class="paths">${(one.changed || []).length ? one.changed.map((path) => html`<code>${path}</code>`) : html`<span class="quiet">changed nothing</span>`}</span></li>`)}</ul>` : nothing}
    ${timed.length ? html`<h4>Time</h4>${bars(timed)}` : nothing}
    ${(all.warnings || []).map((text) => html`<div class="notice">${text}</div>`)}`;
}

function bars(timed) {
  const whole = Math.max(...timed.map((one) => one.ms || 0), 0.001);
  return html`<div class="bars">${timed.map((one) => html`<span>${one.name}</span>
    <span class="bar"><span .style=${`width:${((one.ms || 0) / whole) * 100}%`}></span></span><span class="end">${milliseconds(one.ms)}</span>`)}</div>`;
}

function schedule(all) {
  const scores = all.scores || [];
  const filtered = all.filtered || [];
  const plugins = [...new Set(scores.flatMap((one) => Object.keys(one.plugins || {})))];
  return html`
    ${facts([["result", all.result], ["node", all.node], ["took", all.ms === undefined ? "" : milliseconds(all.ms)], ["preempted", (all.preempted || []).join(", ")]])}
    ${filtered.length ? html`<h4>Filtered out</h4><div class="scroll"><table><thead><tr><th>Node</th><th>Plugin</th><th>Reason</th></tr></thead>
      <tbody>${filtered.map((one) => html`<tr><td>${one.node}</td><td>${one.plugin}</td><td>${one.reason}</td></tr>`)}</tbody></table></div>
      ${all.filteredMore ? html`<p class="quiet">and ${all.filteredMore} more</p>` : nothing}` : nothing}
    ${scores.length ? html`<h4>Scores</h4><div class="scroll"><table class="figures"><thead><tr><th>Node</th><th>Total</th>${plugins.map((name) => html`<th>${name}</th>`)}</tr></thead>
      <tbody>${scores.map((one) => html`<tr class=${one.node === all.node ? "chosen" : ""}><td>${one.node}</td><td><b>${one.total}</b></td>${plugins.map((name) => html`<td>${one.plugins?.[name] ?? ""}</td>`)}</tr>`)}</tbody></table></div>` : nothing}`;
}

function decision(all) {
  const actions = all.actions || [];
  return html`
    ${facts([["key", all.key], ["result", all.result], ["retries", all.retries || ""], ["took", all.ms === undefined ? "" : milliseconds(all.ms)]])}
    ${actions.length ? html`<ul class="plain-list tight">${actions.map((text) => html`<li>${text}</li>`)}</ul>` : nothing}
    ${all.error ? html`<div class="notice bad">${all.error}</div>` : nothing}`;
}

function others(all) {
  const plain = Object.entries(all).filter(([, value]) => typeof value !== "object" && value !== "");
  const deep = Object.fromEntries(Object.entries(all).filter(([, value]) => typeof value === "object" && value !== null));
  return html`${facts(plain.map(([name, value]) => [name, String(value)]))}${Object.keys(deep).length ? json(deep) : nothing}`;
}

export const stepBadge = (record) => badge(STEPS[stepOf(record)] || stepOf(record), `step step-${stepOf(record)}`);

export const failed = (record) => Boolean(record.detail?.error) || ["error", "unschedulable"].includes(record.detail?.result) || record.detail?.code >= 400 || record.detail?.type === "Warning";
