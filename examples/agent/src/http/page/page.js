// SPDX-License-Identifier: MPL-2.0
// Shows what the agent says of its proxies, and asks again. What is on the page is changed in place, so that nothing jumps and
// no selection is lost while it is read. All texts are text nodes.
"use strict";

/** How long after an answer it is asked again, and how long an answer may take; in milliseconds. */
const PERIOD = 2000;
const PATIENCE = 5000;

/** How long a process must have run until nothing is said of the end of the one before it; in milliseconds. */
const WELL = 10000;

const COLUMNS = ["State", "For", "Ready", "PID", "Restarts", "Last exit"];
const table = document.getElementById("proxies");
const summary = document.getElementById("summary");
const pause = document.getElementById("pause");
const rows = new Map();
let timer = 0;
let isPaused = false;
/** Counts the requests and pauses: an answer to an earlier request is not shown. */
let turn = 0;
/** When what is shown was said, and in short what it is. */
let shownAt = null;
let inShort = "";

/** A time with its two largest units: 3d 4h, 5m 12s. */
function short(ms) {
  if (ms === null) return "-";
  const s = Math.floor(ms / 1000);
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "m"], [s % 60, "s"]];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(3) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => count + unit).join(" ");
}

/** A text of a proxy with its control characters as `agent status` shows them, and those that change in which order it is read. */
function plain(text) {
  const named = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (control) => named[control] ?? `\\u{${control.codePointAt(0).toString(16)}}`);
}

function look(proxy) {
  if (proxy.state === "running") return proxy.ready ? "good" : "busy";
  if (proxy.state === "failed" || proxy.state === "waiting") return "bad";
  return ["stopped", "paused", "closed", "completed"].includes(proxy.state) ? "" : "busy";
}

function cells(proxy) {
  const lasting = proxy.state === "running" && proxy.adopted && proxy.uptime_ms !== null ? proxy.uptime_ms : proxy.state_ms;
  const by = proxy.last_exit_by === null || proxy.last_exit_by === "itself" ? "" : ` (${proxy.last_exit_by})`;
  return [
    proxy.state, short(lasting), proxy.ready ? "yes" : "no", String(proxy.pid ?? "-"), String(proxy.restarts),
    proxy.last_exit === null ? "-" : proxy.last_exit + by,
  ];
}

function nextStart(ms) {
  return `next start in ${(ms / 1000).toFixed(1)} s`;
}

function otherGeneration(other) {
  const parts = [`other generation ${other.generation ?? ""}`.trimEnd() + `: ${other.state}`];
  if (other.pid !== null) parts.push(`process ${other.pid}`);
  if (other.next_start_ms !== null) parts.push(nextStart(other.next_start_ms));
  if (other.last_exit !== null) parts.push(`last exit: ${other.last_exit}`);
  if (other.last_error !== null) parts.push(`error: ${other.last_error}`);
  return parts.join(", ");
}

/** What a process wrote that has ended by itself, until the one after it has run for a while. */
function lastLines(proxy) {
  const hasLasted = proxy.uptime_ms === null || proxy.uptime_ms >= WELL;
  const isWell = proxy.ready && hasLasted && proxy.other === null;
  if (isWell || proxy.last_exit_by === null || proxy.last_exit_by === "stop") return [];
  const ofNext = proxy.other === null ? [] : proxy.other.last_stderr;
  return ofNext.length > 0 ? ofNext : proxy.last_stderr;
}

function notes(proxy) {
  const lines = [];
  if (proxy.adopted) lines.push("started by an earlier agent");
  if (proxy.next_start_ms !== null) lines.push(nextStart(proxy.next_start_ms));
  if (proxy.last_error !== null) lines.push(`error: ${proxy.last_error}`);
  if (proxy.hint !== null) lines.push(`hint: ${proxy.hint}`);
  if (proxy.status_text !== null) lines.push(`says: ${proxy.status_text}`);
  if (proxy.other !== null) lines.push(otherGeneration(proxy.other));
  for (const process of proxy.unproven) lines.push(`may be its own: process ${process.pid} (${process.program}: ${process.why})`);
  for (const line of lastLines(proxy)) lines.push(`stderr: ${line}`);
  return lines.map(plain);
}

/** How many are ready, and what is wrong. */
function summarize(proxies) {
  if (proxies.length === 0) return "No proxies are declared";
  const parts = [`${proxies.filter((proxy) => proxy.ready).length} of ${proxies.length} ready`];
  for (const state of ["failed", "waiting"]) {
    const count = proxies.filter((proxy) => proxy.state === state).length;
    if (count > 0) parts.push(`${count} ${state}`);
  }
  return parts.join(", ");
}

/** Gives an element a text. Its text node stays, for a selection may end there. */
function setText(element, text) {
  const node = element.firstChild ?? element.appendChild(document.createTextNode(""));
  if (node.data !== text) node.data = text;
}

/** Gives a list its lines. Those at its beginning and end that stay the same are not touched. */
function setLines(list, lines) {
  const shown = Array.from(list.children, (item) => item.textContent);
  const both = Math.min(shown.length, lines.length);
  let before = 0;
  while (before < both && shown[before] === lines[before]) before++;
  let after = 0;
  while (after < both - before && shown.at(-1 - after) === lines.at(-1 - after)) after++;
  const wanted = lines.slice(before, lines.length - after);
  const items = Array.from(list.children).slice(before, shown.length - after);
  for (const item of items.splice(wanted.length)) item.remove();
  const next = list.children[before + items.length] ?? null;
  wanted.forEach((line, index) => {
    let item = items[index];
    if (item === undefined) {
      item = list.insertBefore(part("li", "listitem"), next);
      item.append(document.createElement("code"));
    }
    setText(item.firstChild, line);
  });
}

/** An element with its role, which a table without the layout of one loses on narrow screens, and a list without its dots. */
function part(element, role) {
  const made = document.createElement(element);
  made.setAttribute("role", role);
  return made;
}

function newRow(id) {
  const line = part("tr", "row");
  const name = part("th", "rowheader");
  name.scope = "row";
  setText(name, plain(id));
  line.append(name, ...COLUMNS.map((label) => {
    const cell = part("td", "cell");
    cell.dataset.label = label;
    return cell;
  }));
  const more = part("tr", "row");
  more.className = "notes";
  const cell = part("td", "cell");
  cell.colSpan = COLUMNS.length + 1;
  cell.setAttribute("aria-colspan", cell.colSpan);
  const list = part("ul", "list");
  list.setAttribute("aria-label", `Notes on ${plain(id)}`);
  cell.append(list);
  more.append(cell);
  return { line, more, list };
}

function show(proxies) {
  const ids = Object.keys(proxies).sort();
  for (const [id, row] of rows) {
    if (!Object.hasOwn(proxies, id)) {
      row.line.remove();
      row.more.remove();
      rows.delete(id);
    }
  }
  let before = null;
  for (const id of ids) {
    const proxy = proxies[id];
    let row = rows.get(id);
    if (row === undefined) {
      row = newRow(id);
      rows.set(id, row);
      if (before === null) table.prepend(row.line, row.more);
      else before.after(row.line, row.more);
    }
    before = row.more;
    cells(proxy).forEach((text, index) => setText(row.line.children[index + 1], text));
    row.line.children[1].className = look(proxy);
    const lines = notes(proxy);
    row.more.hidden = lines.length === 0;
    setLines(row.list, lines);
  }
}

/** Says how it stands, also in the title, which is what is seen of a page in the background. */
function say(text, isBad) {
  setText(summary, text);
  summary.className = isBad ? "bad" : "";
  document.title = `${text} - Proxies`;
}

/** Since when nothing new is shown. */
function since() {
  return shownAt === null ? "" : `; what is shown is from ${shownAt.toLocaleTimeString()}`;
}

async function update() {
  clearTimeout(timer);
  const asked = ++turn;
  let proxies = null;
  let failure = "The agent does not answer";
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.ok) proxies = (await answer.json()).proxies;
    else failure = `The agent answers ${answer.status} ${answer.statusText}`;
  } catch {
    // There is none, or it is no agent's.
  }
  if (asked !== turn) return;
  // ORDER: before what may fail, so that it is asked again in any case.
  timer = setTimeout(update, PERIOD);
  if (proxies === null || proxies === undefined) return say(failure + since(), true);
  show(proxies);
  shownAt = new Date();
  inShort = summarize(Object.values(proxies));
  say(inShort, false);
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  setText(pause, isPaused ? "Resume updates" : "Pause updates");
  if (!isPaused) return update();
  turn++;
  clearTimeout(timer);
  say(shownAt === null ? "Updates are paused" : `Updates are paused${since()}: ${inShort}`, false);
});

update();
