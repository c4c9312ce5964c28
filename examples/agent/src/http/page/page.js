// SPDX-License-Identifier: MPL-2.0
// Shows what the agent says of its proxies, and asks again. Rows are changed in place, so that nothing jumps while it is read.
"use strict";

const PERIOD = 2000;
const COLUMNS = ["State", "For", "Ready", "PID", "Restarts", "Last exit"];
const table = document.getElementById("proxies");
const summary = document.getElementById("summary");
const pause = document.getElementById("pause");
const rows = new Map();
let timer = 0;
let shownAt = null;

/** A time with its two largest units: 3d 4h, 5m 12s. */
function short(ms) {
  if (ms === null) return "-";
  const s = Math.floor(ms / 1000);
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "m"], [s % 60, "s"]];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(3) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => count + unit).join(" ");
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
    proxy.state, short(lasting), proxy.ready ? "yes" : "no", proxy.pid ?? "-", proxy.restarts,
    proxy.last_exit === null ? "-" : proxy.last_exit + by,
  ];
}

function notes(proxy) {
  const lines = [];
  if (proxy.next_start_ms !== null) lines.push(`next start in ${(proxy.next_start_ms / 1000).toFixed(1)} s`);
  if (proxy.last_error !== null) lines.push(`error: ${proxy.last_error}`);
  if (proxy.hint !== null) lines.push(`hint: ${proxy.hint}`);
  if (proxy.status_text !== null) lines.push(`says: ${proxy.status_text}`);
  const other = proxy.other;
  if (other !== null) {
    const next = other.next_start_ms === null ? "" : `, next start in ${(other.next_start_ms / 1000).toFixed(1)} s`;
    const exit = other.last_exit === null ? "" : `, last exit: ${other.last_exit}`;
    const error = other.last_error === null ? "" : `, error: ${other.last_error}`;
    lines.push(`other generation: ${other.state}${next}${exit}${error}`);
    for (const line of other.last_stderr) lines.push(`its stderr: ${line}`);
  }
  for (const process of proxy.unproven) lines.push(`may be its own: process ${process.pid} (${process.program}: ${process.why})`);
  if (!proxy.ready && other === null && proxy.last_exit_by !== null && proxy.last_exit_by !== "stop") {
    for (const line of proxy.last_stderr) lines.push(`stderr: ${line}`);
  }
  return lines;
}

function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/** An element with its role, which a table without the layout of one loses on narrow screens. */
function part(element, role) {
  const made = document.createElement(element);
  made.setAttribute("role", role);
  return made;
}

function newRow(id) {
  const line = part("tr", "row");
  const name = part("th", "rowheader");
  name.scope = "row";
  name.textContent = id;
  line.append(name, ...COLUMNS.map((label) => {
    const cell = part("td", "cell");
    cell.dataset.label = label;
    return cell;
  }));
  const more = part("tr", "row");
  more.className = "notes";
  const cell = part("td", "cell");
  cell.colSpan = COLUMNS.length + 1;
  const list = document.createElement("ul");
  list.setAttribute("aria-label", `Notes on ${id}`);
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
    while (row.list.children.length > lines.length) row.list.lastChild.remove();
    while (row.list.children.length < lines.length) {
      row.list.append(document.createElement("li"));
      row.list.lastChild.append(document.createElement("code"));
    }
    lines.forEach((line, index) => setText(row.list.children[index].firstChild, line));
  }
  const ready = ids.filter((id) => proxies[id].ready).length;
  setText(summary, `${ready} of ${ids.length} ready`);
}

async function update() {
  try {
    const answer = await fetch("status.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    show((await answer.json()).proxies);
    shownAt = new Date();
  } catch {
    const of = shownAt === null ? "" : `; this is from ${shownAt.toLocaleTimeString()}`;
    setText(summary, `The agent does not answer${of}`);
  }
  if (pause.getAttribute("aria-pressed") === "false") timer = setTimeout(update, PERIOD);
}

pause.addEventListener("click", () => {
  const isPaused = pause.getAttribute("aria-pressed") === "false";
  pause.setAttribute("aria-pressed", String(isPaused));
  clearTimeout(timer);
  if (!isPaused) update();
});

update();
