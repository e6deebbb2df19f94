// Members and how far their logs are, nodes, and the pods on them.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { draw } from "../lib/draw.js";
import { bytes, count, duration, milliseconds } from "../lib/format.js";
import { cluster } from "../lib/live.js";
import { kindOf, label, podState, podTone, watch } from "../lib/objects.js";
import { badge, empty, failure, meter, missing, spark } from "../lib/parts.js";

export const title = "Cluster";

const SHOWN = 240; // squares of one node
const pods = new Map(); // uid -> {uid, name, namespace, node, state, tone}
let needle = "";

export function enter(_, signal) {
  pods.clear();
  watch(kindOf("pods"), { signal, onEvent: heard });
}

function heard(type, pod) {
  if (type === "RESET") pods.clear();
  else if (type === "DELETED") pods.delete(pod.metadata.uid);
  else pods.set(pod.metadata.uid, reduced(pod));
  draw();
}

// What is shown of a pod: a thousand whole ones would be some megabytes.
function reduced(pod) {
  const state = podState(pod);
  const ready = (pod.status?.conditions || []).some((one) => one.type === "Ready" && one.status === "True");
  const { uid, name, namespace } = pod.metadata;
  return { uid, name, namespace, node: pod.spec.nodeName || "", state, tone: podTone(state, ready) };
}

export function escape() {
  needle = "";
}

export function view() {
  const { status, error } = cluster;
  if (error) return html`<div class="page">${failure(error)}</div>`;
  if (!status) return html`<div class="page">${empty("Asking the master…")}</div>`;
  return html`<div class="page">
    ${headline(status)} ${missing(silent(status))}
    <section aria-labelledby="log-title"><h2 id="log-title">Log</h2>${log(status.members)}</section>
    <section aria-labelledby="members-title"><h2 id="members-title">Members</h2>
      <div class="grid members">${repeat(status.members, (member) => member.name, memberCard)}</div></section>
    ${nodes(status)}
    ${leaders()}
  </div>`;
}

function headline(status) {
  const ready = status.members.filter((member) => member.reachable && member.ready).length;
  return html`<div class="headline" aria-live="polite">
    <p class="over">${status.name || "cluster"}</p>
    <h1 data-leader=${status.leader || ""}>${status.leader ? html`<b>${status.leader}</b> leads` : "No leader: an election is on"}</h1>
    <p class="quiet">term ${count(status.term)} · ${ready} of ${status.members.length} members ready ·
      revision ${count(highest(status.members, "revision"))}</p>
  </div>`;
}

// Whom a card shows as unreachable need not be named once more.
const silent = ({ members, missing: list = [] }) => list.filter((one) => members.some((member) => member.name === one.instance && member.reachable));

const highest = (members, field) => Math.max(0, ...members.map((member) => member[field] || 0));

// One track per member. The window ends at the furthest entry; what is committed is light, what is applied is full.
function log(members) {
  const last = highest(members, "commitIndex");
  const behind = last - Math.min(...members.filter((one) => one.reachable).map((one) => one.appliedIndex ?? last), last);
  const span = Math.max(40, behind * 1.4);
  const share = (index) => Math.max(0, Math.min(1, 1 - (last - (index || 0)) / span));
  return html`<div class="card log">
    ${repeat(members, (member) => member.name, (member) => html`<div class=${`track ${member.reachable ? "" : "gone"}`}>
      <span class="track-name">${member.name}</span>
      <span class="track-line">
        <span class="commit" .style=${`width:${share(member.reachable ? member.commitIndex : 0) * 100}%`}></span>
        <span class="applied" .style=${`width:${share(member.reachable ? member.appliedIndex : 0) * 100}%`}></span>
      </span>
      <span class="track-value">${member.reachable ? html`${count(member.appliedIndex)}<small> / ${count(member.commitIndex)}</small>` : "–"}</span>
    </div>`)}
    <p class="legend"><span><i class="swatch applied"></i>applied</span><span><i class="swatch commit"></i>committed</span>
      <span class="quiet">the last ${count(Math.round(span))} entries</span></p>
  </div>`;
}

function memberCard(member) {
  const past = cluster.past.get(member.name) || { rate: [], fsync: [] };
  const rate = past.rate.slice(-4);
  const role = member.reachable ? member.role : "unreachable";
  const tone = { leader: "accent", follower: "", learner: "busy" }[role] ?? "bad";
  const fsync = member.fsyncMs;
  return html`<article class=${`card member ${member.reachable ? "" : "gone"}`} data-member=${member.name}>
    <header><h3>${member.name}</h3>${badge(role, tone)}${member.reachable && !member.ready ? badge("not ready", "busy") : nothing}
      <span class="quiet end">${member.version || ""}</span></header>
    <div class="curves">
      <figure><figcaption>entries/s <b>${rate.length ? count(Math.round(rate.reduce((sum, one) => sum + one, 0) / rate.length)) : "–"}</b></figcaption>${spark(past.rate)}</figure>
      <figure><figcaption>fsync p99 <b>${milliseconds(fsync?.p99)}</b></figcaption>${spark(past.fsync, "warm")}</figure>
    </div>
    <dl class="numbers">
      ${number("Term", count(member.reachable ? member.term : null))}
      ${number("Revision", count(member.revision))}
      ${number("Round trip", member.role === "leader" ? "–" : milliseconds(member.rttMs))}
      ${number("fsync p50", milliseconds(fsync?.p50))}
      ${number("Database", bytes(member.dbSize))}
      ${number("Memory", bytes(member.memoryBytes))}
      ${number("CPU", member.cpu === null || member.cpu === undefined ? "–" : `${Math.round(member.cpu * 100)} %`)}
      ${number("Id", html`<code title=${String(member.id)}>${String(member.id ?? "–").slice(0, 8)}</code>`)}
    </dl>
  </article>`;
}

const number = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

function nodes(status) {
  const byNode = new Map();
  for (const pod of pods.values()) {
    if (needle && !`${pod.namespace}/${pod.name} ${pod.state}`.toLowerCase().includes(needle)) continue;
    if (!byNode.has(pod.node)) byNode.set(pod.node, []);
    byNode.get(pod.node).push(pod);
  }
  const waiting = byNode.get("") || [];
  return html`<section aria-labelledby="nodes-title">
    <div class="section-head"><h2 id="nodes-title">Nodes</h2>
      <input type="search" placeholder="Find pods" aria-label="Find pods" .value=${needle}
        @input=${(event) => { needle = event.target.value.toLowerCase(); draw(); }}></div>
    ${status.nodes.length ? nothing : empty("No node yet", "A worker registers its node when it starts.")}
    <div class="grid nodes">
      ${repeat(status.nodes, (node) => node.name, (node) => nodeCard(node, byNode.get(node.name) || []))}
      ${waiting.length ? html`<article class="card node"><header><h3>On no node</h3>${badge("waiting", "busy")}
        <span class="quiet end">${howMany(waiting)}</span></header>${squares(waiting)}</article>` : nothing}
    </div>
    <p class="legend"><span><i class="swatch good"></i>ready</span><span><i class="swatch busy"></i>starting</span>
      <span><i class="swatch bad"></i>failing</span><span><i class="swatch past"></i>done or ending</span></p>
  </section>`;
}

const howMany = (own) => `${count(own.length)} ${own.length === 1 ? "pod" : "pods"}`;

function nodeCard(node, own) {
  return html`<article class=${`card node ${node.ready ? "" : "gone"}`} data-node=${node.name}>
    <header><h3>${node.name}</h3>${badge(node.ready ? "Ready" : "NotReady", node.ready ? "good" : "bad")}
      <span class="quiet end">${howMany(own)}</span></header>
    ${asked("CPU", node.cpu, node.cpuCapacity, (value) => `${Number(value).toFixed(2)}`, "cores")}
    ${asked("Memory", node.memory, node.memoryCapacity, bytes)}
    ${asked("Pods", node.pods, node.podCapacity, count)}
    ${own.length ? squares(own) : html`<p class="quiet">${needle ? "No pod matches." : "No pods."}</p>`}
  </article>`;
}

// What the node's pods ask for, of what it has to give.
function asked(name, value, capacity, format, unit = "") {
  if (value === null || value === undefined) return nothing;
  return html`<div class="use" title="What its pods ask for"><span>${name}</span>${capacity ? meter(value / capacity) : html`<span></span>`}
    <span class="use-value">${format(value)}${capacity ? html`<span class="quiet"> of ${format(capacity)}</span>` : nothing} ${unit}</span></div>`;
}

const inOrder = (one, other) => (one.namespace + one.name < other.namespace + other.name ? -1 : 1);

function squares(own) {
  const shown = own.sort(inOrder).slice(0, SHOWN);
  return html`<div class="pods" @keydown=${walk}>${repeat(shown, (pod) => pod.uid, (pod, at) => html`<a
      class=${`pod ${pod.tone}`} href=${story(pod)} tabindex=${at ? -1 : 0} title=${`${label(pod.namespace, pod.name)}: ${pod.state}`}
      aria-label=${`${label(pod.namespace, pod.name)}: ${pod.state}`}></a>`)}
    ${own.length > shown.length ? html`<a class="more" href="#/timeline">+${own.length - shown.length}</a>` : nothing}</div>`;
}

// The squares of a node are one stop of the Tab key; arrows go from one to the next.
function walk(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = [...event.currentTarget.querySelectorAll(".pod")];
  all[all.indexOf(event.target) + step]?.focus();
}

const story = (pod) => `#/timeline?${new URLSearchParams({ resource: "pods", namespace: pod.namespace, name: pod.name })}`;

function leaders() {
  if (cluster.changes.length < 2) return nothing;
  const now = Date.now();
  return html`<section aria-labelledby="leaders-title"><h2 id="leaders-title">Leaders, since this page is open</h2>
    <ol class="card plain-list leaders">${[...cluster.changes].reverse().map((change) => html`<li><b>${change.leader}</b>
      <span class="quiet">term ${change.term}</span><span class="end quiet">${duration(now - change.at)} ago</span></li>`)}</ol></section>`;
}
