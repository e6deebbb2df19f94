// Requests and streams to the master that served the page, or to whichever is behind the same address.
//
// The token is in the session's storage and goes into a header, so streams are read by fetch. With no token the browser's
// own client certificate may do. A master that dies breaks its connections; everything here then asks again, and
// the address leads to the next one.
const KEY = "kuberaft.token";
const IDLE = 20000; // a stream of insight that says nothing for so long is dead: it says PING every 5 s
const HIDDEN = 10000; // milliseconds until a page that cannot be seen lets its streams go
const RETRY = [50, 150, 300, 600, 1000];

export const session = { token: sessionStorage.getItem(KEY) || "", needsLogin: false, message: "", onLogin: () => {} };

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export function takeTokenFromFragment() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return;
  remember(decodeURIComponent(found[1]));
  history.replaceState(null, "", `${location.pathname}#/cluster`);
}

export function remember(token) {
  session.token = token.trim();
  session.needsLogin = false;
  session.message = "";
  if (session.token) sessionStorage.setItem(KEY, session.token);
  else sessionStorage.removeItem(KEY);
}

export function logOut(message = "") {
  remember("");
  session.needsLogin = true;
  session.message = message;
  session.onLogin();
}

// JSON of a GET, or of what `method` and `body` say. A GET is tried again while no master answers.
export async function request(path, { method = "GET", body, headers, signal, text = false, retries = RETRY.length } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await send(path, { method, body, headers, signal: within(signal, 15000) });
      return text ? await response.text() : await response.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      const again = method === "GET" && attempt < retries && mayPass(error);
      if (!again) throw plain(error);
      await pause(RETRY[attempt], signal);
    }
  }
}

// A page that nobody sees keeps no stream: a browser has six connections for all tabs of one address, and a page in its
// back-forward cache would hold on to them.
const parking = { parked: false, streams: new Set(), waiting: [] };

function park() {
  parking.parked = true;
  for (const connection of parking.streams) connection.abort();
}

function unpark() {
  parking.parked = false;
  for (const go of parking.waiting.splice(0)) go();
}

let leaving = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(park, HIDDEN);
  else unpark();
});
addEventListener("pagehide", park);
addEventListener("pageshow", unpark);

const seen = () => (parking.parked ? new Promise((resolve) => parking.waiting.push(resolve)) : undefined);

// Calls `onItem` with every JSON line, for as long as `signal` is not aborted; `path` is asked again for each connection.
// `onState` hears "open", "lost" and, for an answer that will not change, "refused" with the error, which ends it.
export async function stream(path, { signal, onItem, onState = () => {}, headers = {}, idle = IDLE }) {
  let attempt = 0;
  while (!signal.aborted) {
    await seen();
    const dead = new AbortController();
    parking.streams.add(dead);
    try {
      const response = await send(path(), { signal: AbortSignal.any([signal, dead.signal]), headers });
      onState("open");
      await readLines(response, dead, idle, (item) => {
        attempt = 0;
        onItem(item);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && !mayPass(error)) {
        onState("refused", error);
        return;
      }
    } finally {
      parking.streams.delete(dead);
    }
    if (signal.aborted) return;
    onState("lost");
    await pause(RETRY[Math.min(attempt, RETRY.length - 1)], signal).catch(() => {});
    attempt += 1;
  }
}

async function send(path, { method = "GET", body, signal, headers = {} }) {
  const sent = { Accept: "application/json", ...headers };
  if (session.token) sent.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const options = { method, headers: sent, signal, cache: "no-store", credentials: "same-origin" };
  const response = await fetch(path, body === undefined ? options : { ...options, body: JSON.stringify(body) });
  if (response.ok) return response;
  const failure = await refusal(response);
  if (refusesUs(response.status, failure)) logOut(session.token ? "The token is not accepted, or it has ended." : "");
  throw failure;
}

function refusesUs(code, failure) {
  return code === 401 || (code === 403 && !session.token && failure.message.includes("system:anonymous"));
}

async function refusal(response) {
  const text = await response.text();
  try {
    return new ApiError(response.status, JSON.parse(text).message || response.statusText);
  } catch {
    return new ApiError(response.status, text.trim().slice(0, 300) || `HTTP ${response.status}`);
  }
}

async function readLines(response, dead, idle, onItem) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let timer = setTimeout(() => dead.abort(), idle);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => dead.abort(), idle);
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) onItem(JSON.parse(line));
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}

const mayPass = (error) => !(error instanceof ApiError) || [429, 500, 502, 503, 504].includes(error.code);

const plain = (error) => (error instanceof ApiError ? error : new ApiError(0, "No master answers at this address."));

function within(signal, milliseconds) {
  const timeout = AbortSignal.timeout(milliseconds);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

// Asks again and again while `signal` is not aborted and the page can be seen. `onError` hears what went wrong.
export async function poll(path, every, { signal, onItem, onError = () => {} }) {
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        onItem(await request(path(), { signal }));
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
      }
    }
    await pause(every, signal).catch(() => {});
  }
}

export const insight = (name, query = {}) => `/kuberaft/v1/${name}${params(query)}`;

export function params(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
