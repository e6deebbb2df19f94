// A long list of which only the visible rows exist. Rows have one height, so a thousand cost what twenty do.
//
// The list is one stop of the Tab key; arrows, Home, End and Page keys move in it, Enter chooses.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { draw } from "./draw.js";

const lists = new Map();
const SPARE = 6; // rows beyond both edges

function stateOf(id) {
  if (!lists.has(id)) lists.set(id, { top: 0, height: 600, active: -1, element: null, pressed: false });
  return lists.get(id);
}

// Whoever reads further down, or is about to click, must not have the rows moved away.
export const held = (id) => stateOf(id).pressed || stateOf(id).top > 4;

export function toTop(id) {
  const state = stateOf(id);
  state.top = 0;
  state.active = -1;
  if (state.element) state.element.scrollTop = 0;
  draw();
}

// `row(item, index)` gives a row's content; `choose(item)` is called for a click or Enter; `key(item)` tells rows apart.
export function virtualList({ id, items, height, row, key, choose, chosen = () => false, label, empty, look = "" }) {
  const state = stateOf(id);
  if (!items.length) {
    state.top = 0;
    return html`<div class="empty">${empty}</div>`;
  }
  const first = Math.max(0, Math.min(Math.floor(state.top / height) - SPARE, items.length - 1));
  const last = Math.min(items.length, first + Math.ceil(state.height / height) + 2 * SPARE);
  const visible = items.slice(first, last);
  const rowId = (index) => `${id}-row-${index}`;
  return html`<div
    class="list" role="listbox" tabindex="0" aria-label=${label}
    aria-activedescendant=${state.active >= first && state.active < last ? rowId(state.active) : nothing}
    @scroll=${(event) => scrolled(state, event.currentTarget)}
    @keydown=${(event) => keyed(event, state, items, height, choose)}
    @focus=${(event) => scrolled(state, event.currentTarget)}
    @pointerdown=${() => press(state)}
  >
    <div class="list-space" .style=${`height:${items.length * height}px`}>
      <div class="list-rows" .style=${`transform:translateY(${first * height}px)`}>
        ${repeat(visible, key, (item, at) => html`<div
          id=${rowId(first + at)} role="option" class=${`row ${look} ${first + at === state.active ? "active" : ""}`}
          aria-selected=${chosen(item) ? "true" : "false"} .style=${`height:${height}px`}
          @click=${() => { state.active = first + at; choose?.(item); draw(); }}
        >${row(item, first + at)}</div>`)}
      </div>
    </div>
  </div>`;
}

function scrolled(state, element) {
  state.element = element;
  if (state.top === element.scrollTop && state.height === element.clientHeight) return;
  state.top = element.scrollTop;
  state.height = element.clientHeight || 600;
  draw();
}

function press(state) {
  state.pressed = true;
  const released = new AbortController();
  const release = () => { released.abort(); state.pressed = false; draw(); };
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, release, { signal: released.signal });
}

function keyed(event, state, items, height, choose) {
  const page = Math.max(1, Math.floor(state.height / height) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -items.length, End: items.length };
  if (event.key in steps) {
    state.active = Math.max(0, Math.min(items.length - 1, state.active + steps[event.key]));
    reveal(event.currentTarget, state, height);
  } else if (event.key === "Enter" && items[state.active] !== undefined) {
    choose?.(items[state.active]);
  } else {
    return;
  }
  event.preventDefault();
  draw();
}

function reveal(element, state, height) {
  const top = state.active * height;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (top + height > element.scrollTop + element.clientHeight) element.scrollTop = top + height - element.clientHeight;
}
