// The page: who is logged in, which page is shown, what keys do.
import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { insight, logOut, remember, request, session, stream, takeTokenFromFragment } from "./lib/api.js";
import { afterPaint, draw, paintWith } from "./lib/draw.js";
import { failure, icon } from "./lib/parts.js";
import { cluster } from "./lib/live.js";
import { discover } from "./lib/objects.js";
import * as clusterPage from "./pages/cluster.js";
import * as drillsPage from "./pages/drills.js";
import * as timelinePage from "./pages/timeline.js";
import * as watchPage from "./pages/watch.js";

const PAGES = { cluster: clusterPage, timeline: timelinePage, watch: watchPage, drills: drillsPage };
const NAMES = Object.keys(PAGES);
const THEMES = ["auto", "light", "dark"];
const KEYS = [
  ["1 – 4", "the pages"],
  ["/", "search"],
  ["↑ ↓ Home End", "move in a list"],
  ["Enter", "choose"],
  ["Esc", "close, or leave the search"],
  ["t", "light, dark, as the system"],
  ["?", "this help"],
];

let page = "";
let lifetime = new AbortController();
let running = null;
let helping = false;

function route() {
  const [name, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const wanted = name in PAGES ? name : "cluster";
  const parameters = Object.fromEntries(new URLSearchParams(query));
  if (session.needsLogin) return draw();
  startLive();
  if (wanted !== page) {
    lifetime.abort();
    lifetime = new AbortController();
    page = wanted;
    document.title = `${PAGES[page].title} · kuberaft`;
    PAGES[page].enter(parameters, lifetime.signal);
  } else {
    PAGES[page].turn?.(parameters, lifetime.signal);
  }
  return draw();
}

// What every page shows: who leads, and whether a master is there.
function startLive() {
  if (running) return;
  running = new AbortController();
  discover(running.signal).then(draw, () => {}); // without it the common kinds are there
  stream(() => insight("cluster", { watch: "true" }), {
    signal: running.signal,
    onItem: (item) => {
      if (item.kind !== "ClusterStatus") return;
      cluster.take(item);
      draw();
    },
    onState: (state, error) => {
      cluster.connection = state;
      cluster.error = error || null;
      draw();
    },
  });
}

session.onLogin = () => {
  running?.abort();
  running = null;
  lifetime.abort();
  lifetime = new AbortController();
  page = "";
  draw();
  afterPaint(() => document.querySelector("#token")?.focus());
};

async function logIn(event) {
  event.preventDefault();
  remember(new FormData(event.target).get("token") || "");
  try {
    await request(insight("cluster"), { retries: 2 });
    route();
  } catch (error) {
    if (!session.needsLogin) session.message = error.message;
    session.needsLogin = true;
    draw();
  }
}

function turnTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
  root.dataset.theme = next;
  localStorage.setItem("kuberaft.theme", next);
  draw();
}

function view() {
  if (session.needsLogin) return login();
  return html`
    <a class="skip" href="#main" @click=${toMain}>Skip to the page</a>
    <header class="top">
      <a class="brand" href="#/cluster"><img src="icon.svg" alt="" width="24" height="24"><span>kuberaft</span></a>
      <nav class="pages" aria-label="Pages">${NAMES.map((name, at) => html`<a
        href=${`#/${name}`} aria-current=${name === page ? "page" : nothing} title=${`${PAGES[name].title} (${at + 1})`}
      >${icon(name)}<span>${PAGES[name].title}</span></a>`)}</nav>
      <div class="top-end">
        ${leader()}
        <button class="plain" title="Light or dark (t)" aria-label=${`Theme: ${document.documentElement.dataset.theme}`} @click=${turnTheme}>${icon("theme")}</button>
        <button class="plain wide-only" title="Keys (?)" aria-label="Keys" @click=${turnHelp}>${icon("help")}</button>
        ${session.token ? html`<button class="plain" title="Log out" aria-label="Log out" @click=${() => logOut()}>${icon("leave")}</button>` : nothing}
      </div>
    </header>
    <main id="main" tabindex="-1" data-page=${page} ?inert=${helping}>${page ? content() : nothing}</main>
    ${helping ? help() : nothing}`;
}

// What one page cannot show leaves the others usable.
function content() {
  try {
    return PAGES[page].view();
  } catch (error) {
    console.error(error);
    return html`<div class="page">${failure(error)}</div>`;
  }
}

function leader() {
  const { status, connection } = cluster;
  if (connection === "refused") return html`<span class="leader bad" role="status">no access</span>`;
  if (connection !== "open") return html`<span class="leader busy" role="status">connecting…</span>`;
  if (!status) return nothing;
  const text = status.leader ? html`<b>${status.leader}</b> leads` : "no leader";
  return html`<span class=${`leader ${status.leader ? "good" : "bad"}`} role="status" data-leader=${status.leader || ""}>
    <i class="dot"></i><span>${text}</span><span class="quiet wide-only">term ${status.term}</span></span>`;
}

function login() {
  return html`<main class="login" data-page="login">
    <form class="card" @submit=${logIn}>
      <img src="icon.svg" alt="" width="44" height="44">
      <h1>kuberaft</h1>
      <p>This cluster wants to know who you are.</p>
      ${session.message ? html`<div class="notice bad" role="alert">${session.message}</div>` : nothing}
      <label for="token">Bearer token</label>
      <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" placeholder="eyJhbGciOi…" autofocus>
      <button class="primary">Log in</button>
      <p class="quiet">Easier: run <code>kuberaft dashboard</code>, which opens this page logged in. A browser that has
      a client certificate of the cluster may leave the field empty.</p>
    </form>
  </main>`;
}

function help() {
  const close = () => { helping = false; draw(); };
  return html`<div class="veil" @click=${close}>
    <section class="card dialog" role="dialog" aria-modal="true" aria-label="Keys" @click=${(event) => event.stopPropagation()}>
      <header><h2>Keys</h2><button class="plain" aria-label="Close" @click=${close}>${icon("close")}</button></header>
      <dl class="keys">${KEYS.map(([key, text]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
    </section></div>`;
}

function turnHelp() {
  helping = !helping;
  if (helping) afterPaint(() => document.querySelector(".dialog button")?.focus());
  draw();
}

function toMain(event) {
  event.preventDefault();
  document.querySelector("#main").focus();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || session.needsLogin) return;
  if (event.key === "Escape") return escape(event);
  if (event.target.matches?.("input, textarea, select")) return;
  if (event.key === "/") focusSearch();
  else if (event.key === "?") turnHelp();
  else if (event.key === "t") turnTheme();
  else if (NAMES[Number(event.key) - 1]) location.hash = `#/${NAMES[Number(event.key) - 1]}`;
  else return;
  event.preventDefault();
  draw();
}

function escape(event) {
  if (helping) helping = false;
  else if (event.target.matches?.("input, textarea, select")) event.target.blur();
  else PAGES[page]?.escape?.();
  draw();
}

function focusSearch() {
  const find = () => document.querySelector("input[type=search]");
  if (find()) return find().focus();
  PAGES[page].search?.();
  return afterPaint(() => find()?.focus());
}

takeTokenFromFragment();
paintWith(() => render(view(), document.querySelector("#app")));
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) {
    takeTokenFromFragment();
    page = "";
  }
  route();
});
addEventListener("keydown", pressed);
addEventListener("resize", draw);
setInterval(() => { if (!document.hidden) draw(); }, 1000); // ages: "3 s ago"
route();
