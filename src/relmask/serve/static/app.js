// The page: what happens when something is dropped, moved, decided or pressed.

import { Offline, TokenNeeded, describeRun, exportMasks, saveThresholds, takeTokenFromAddress, useToken } from "./api.js";
import { chosen, onDrop } from "./drop.js";
import { FILTERS, Items } from "./items.js";
import { List } from "./list.js";
import { finished, maskOf, measure, peak } from "./masking.js";
import { Thresholds } from "./thresholds.js";
import { Viewer } from "./viewer.js";
import { counted, percent, say, toast } from "./words.js";
import { Work } from "./work.js";

const $ = (id) => document.getElementById(id);

let run = null;
let untouched = true; // did nobody choose a picture yet?
let downloaded = true; // is all that was accepted also saved to a file?
const items = new Items();
const viewer = new Viewer();
const list = new List($("list"), { selected: show, chosen: () => { untouched = false; } });
const thresholds = new Thresholds({ moved: thresholdsMoved, settled: measureAll });
const work = new Work({
  changed: itemChanged,
  explained,
  savedKey: () => thresholds.savedKey,
  offline: () => connection("offline", "Server gone, trying again"),
  online: () => connection("online", "Connected"),
  tokenNeeded: askToken,
});

// --- the server ---------------------------------------------------------------------------------------------

async function connect() {
  for (;;) {
    try {
      useRun(await describeRun());
      connection("online", "Connected");
      work.resume();
      return;
    } catch (error) {
      if (error instanceof TokenNeeded) return askToken();
      connection("offline", error instanceof Offline ? "Server gone, trying again" : error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

function useRun(described) {
  run = described;
  work.classes = run.classes;
  work.limits = run.limits;
  $("run-name").textContent = run.name;
  thresholds.use(run.classes);
  $("format").replaceChildren(...run.formats.map((name) => new Option(name, name)));
  updateThresholdButtons();
}

function connection(state, text) {
  if ($("connection-text").textContent === text) return;
  $("connection").className = `connection ${state}`;
  $("connection-text").textContent = text;
  if (state === "offline" || items.all.length) say(text);
}

function askToken() {
  connection("offline", "Waiting for the token");
  $("token-wrong").hidden = $("token").value === "";
  if (!$("ask-token").open) $("ask-token").showModal();
}

$("token-form").addEventListener("submit", () => {
  useToken($("token").value);
  connect();
});

// --- pictures come in ---------------------------------------------------------------------------------------

function add(found) {
  const fresh = found.map(({ file, name }) => items.add(file, name)).filter(Boolean);
  const known = found.length - fresh.length;
  if (!found.length) toast("There are no pictures in it.");
  else if (known) toast(`${counted(known, "picture")} of that name ${known > 1 ? "are" : "is"} here already.`);
  if (!fresh.length) return;
  const within = $("welcome").contains(document.activeElement);
  $("welcome").hidden = true;
  $("view").hidden = false;
  refresh();
  if (!list.selected) list.select(items.shown()[0]);
  if (within) $("list").focus();
  for (const item of fresh) work.add(item);
  say(`${counted(fresh.length, "picture")} added.`);
}

for (const [button, input] of [
  ["add-files", "files"], ["add-folder", "folder"], ["welcome-files", "files"], ["welcome-folder", "folder"],
]) $(button).addEventListener("click", () => $(input).click());
for (const input of [$("files"), $("folder")]) {
  input.addEventListener("change", () => {
    add(chosen(input.files));
    input.value = "";
  });
}

onDrop($("drop"), add);

// --- answers come in ----------------------------------------------------------------------------------------

function explained(item, maps, size, key) {
  item.explained = size !== null;
  item.thresholdsOfResult = key;
  if (size) items.keep(item, maps, size);
  thresholds.seen(peak(item));
  measure(item, maskOf(item, thresholds), run.classes);
}

function itemChanged(item) {
  list.update(item);
  if (item === list.selected) show(item);
  refresh();
}

const isPending = (item) => item.status === "waiting" || item.status === "working";

let refreshing = false;
function refresh() {
  if (refreshing) return;
  refreshing = true;
  requestAnimationFrame(() => {
    refreshing = false;
    const shown = items.shown();
    list.show(shown);
    $("list-empty").hidden = shown.length > 0 || !items.all.length;
    $("list-empty").textContent = "None of the pictures.";
    for (const [filter] of FILTERS) $(`count-${filter}`).textContent = items.count(filter);
    const first = shown.find((item) => item.status === "done");
    if (first && untouched && (!list.selected?.result || !shown.some(isPending))) list.select(first);
    showProgress();
    updateExport();
  });
}

/** Another order or filter counts at once: the next key may come before the next frame. */
function reorder() {
  list.show(items.shown());
  refresh();
}

let told = 0;
function showProgress() {
  const total = items.all.length;
  const failed = items.count("failed");
  const done = items.all.filter((item) => item.status === "done" || item.status === "failed").length;
  const text = `${done} of ${total} done${failed ? `, ${failed} failed` : ""}`;
  $("progress-box").hidden = !total;
  $("progress").max = total || 1;
  $("progress").value = done;
  $("progress-box").classList.toggle("complete", done === total);
  if ($("progress-text").textContent !== text) {
    $("progress-text").textContent = text;
    if (done === total || Date.now() - told > 5000) {
      told = Date.now();
      if (done) say(text);
    }
  }
  document.title = done < total ? `${done}/${total} \u00b7 relmask` : "relmask";
}

// --- the picture that is shown ------------------------------------------------------------------------------

let shownItem = null;
let shownSource = null;

function show(item) {
  $("picture-title").textContent = item?.name ?? "";
  if (item) {
    items.touch(item);
    const source = item.preview || item.file;
    if (item !== shownItem || source !== shownSource) {
      [shownItem, shownSource] = [item, source];
      viewer.show(source, item.result ? [item.result.width, item.result.height] : [1, 1], item.name);
    } else if (item.result) {
      viewer.size = [item.result.width, item.result.height];
    }
    if (item.explained && !item.maps && item.status === "done") work.again(item);
    const label = item.found?.labels[0];
    if (label && item.status === "done") thresholds.choose(label);
  }
  draw();
}

function draw() {
  const item = list.selected;
  const ready = Boolean(item?.maps);
  const mask = item ? maskOf(item, thresholds) : null;
  viewer.drawRelevance(ready ? strongest(item) : null, item?.size ?? [1, 1], run?.full ?? 1);
  viewer.drawMask(mask, item?.size ?? [1, 1], run?.classes.map(({ colour }) => colour) ?? []);
  if (item) measure(item, mask, run?.classes ?? []);
  showVerdict(item);
  updateDecision(item);
  if (item) list.update(item);
}

/** The map of the class that the sliders are about, or else of the first. */
function strongest(item) {
  const k = run.classes.findIndex(({ name }) => name === $("class").value);
  return item.maps.get(k) ?? item.maps.values().next().value ?? null;
}

function showVerdict(item) {
  const labels = item?.found?.labels ?? [];
  const result = item?.result;
  $("verdict").className = `verdict ${result ? (labels.length ? "defect" : "clean") : ""}`;
  $("verdict").textContent = result ? labels.join(", ") || "clean" : "";
  $("scores").replaceChildren(...(result ? [scoreRow("any defect", result.score, null)] : []), ...(run?.classes ?? [])
    .filter(() => result)
    .map(({ name, colour }) => scoreRow(name, result.scores[name], colour)));
  const { area = 0, parts = 0, exact = true } = item?.found ?? {};
  const share = result ? (100 * area) / (result.width * result.height) : 0;
  $("parts").textContent = !result
    ? "Nothing yet."
    : `${exact ? "" : "About "}${counted(parts, "part")}, ${area.toLocaleString("en")} px, ${share.toFixed(share < 1 ? 2 : 1)} % of ` +
      `${result.width} \u00d7 ${result.height}.`;
  const note = {
    waiting: "Waiting for the server",
    working: "In work",
    failed: item?.error,
    done: result?.unsure ? `Unsure: ${result.unsure}` : item?.explained === false ? "Judged clean by its score, so nothing is explained." : "",
  }[item?.status] ?? "";
  $("view-note").textContent = note;
  $("view-note").hidden = !note;
  $("view-note").classList.toggle("wrong", item?.status === "failed");
}

function scoreRow(name, value, colour) {
  const row = document.createElement("li");
  const label = Object.assign(document.createElement("span"), { textContent: name });
  const bar = document.createElement("i");
  const figure = Object.assign(document.createElement("b"), { textContent: percent(value) });
  bar.setAttribute("aria-hidden", "true");
  bar.style.setProperty("--share", value);
  if (colour) bar.style.setProperty("--colour", `rgb(${colour})`);
  row.append(label, bar, figure);
  return row;
}

for (const id of ["show-mask", "show-relevance"]) $(id).addEventListener("change", showLayers);
$("opacity").addEventListener("input", showLayers);
function showLayers() {
  viewer.opacity = $("opacity").value / 100;
  viewer.shows = { mask: $("show-mask").checked, relevance: $("show-relevance").checked };
}

// --- decisions ----------------------------------------------------------------------------------------------

function decide(decision) {
  const item = list.selected;
  if (!item?.result) return;
  const next = decision ? list.following((other) => !other.decision && other.status === "done") : null;
  untouched = false;
  item.decision = item.decision === decision ? "" : decision;
  downloaded = !items.decided("accepted").length;
  list.update(item);
  say(`${item.name} ${item.decision || "undecided"}.${item.decision && next ? ` Next: ${next.name}.` : ""}`);
  if (item.decision && next) list.select(next);
  else updateDecision(item);
  refresh();
}

function updateDecision(item) {
  for (const [id, decision] of [["accept", "accepted"], ["reject", "rejected"]]) {
    $(id).disabled = !item?.result;
    $(id).setAttribute("aria-pressed", String(item?.decision === decision));
  }
}

$("accept").addEventListener("click", () => decide("accepted"));
$("reject").addEventListener("click", () => decide("rejected"));
$("previous").addEventListener("click", () => list.move(-1));
$("next").addEventListener("click", () => list.move(1));

// --- thresholds ---------------------------------------------------------------------------------------------

let drawing = false;
function thresholdsMoved() {
  updateThresholdButtons();
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

/** Bring the list up to date, a few milliseconds at a time. */
let measuring = 0;
async function measureAll() {
  const turn = ++measuring;
  downloaded = downloaded && !items.decided("accepted").length;
  updateThresholdButtons();
  for (const item of items.all) {
    if (!item.maps) continue;
    measure(item, maskOf(item, thresholds), run.classes);
    list.update(item);
    await new Promise((done) => setTimeout(done));
    if (turn !== measuring) return;
  }
  const item = list.selected;
  if (item?.found) say(`${item.name}: ${item.found.labels.join(", ") || "clean"}, ${counted(item.found.parts, "part")}, ${item.found.area} pixels.`);
}

function updateThresholdButtons() {
  $("changed").hidden = !thresholds.changed;
  $("reset").disabled = $("save").disabled = !thresholds.changed;
  if (run) {
    $("save-note").textContent = thresholds.changed
      ? "Tried on this page only, until they are saved."
      : `The run's own${run.by_hand ? ", moved by hand" : run.saw_masks ? ", chosen with true masks" : ", chosen from labels alone"}.`;
  }
}

$("class").addEventListener("change", draw);
$("reset").addEventListener("click", () => {
  thresholds.reset();
  draw();
  measureAll();
});
$("save").addEventListener("click", async () => {
  try {
    useRun(await saveThresholds(thresholds.chosen));
    toast("Saved to the run.", "done");
  } catch (error) {
    failed(error);
  }
});

// --- download -----------------------------------------------------------------------------------------------

function updateExport() {
  const count = items.decided("accepted").length;
  $("download").disabled = !count || $("download").classList.contains("busy");
  $("export-note").textContent = count ? `${counted(count, "picture")} accepted.` : "Nothing is accepted yet.";
}

$("download").addEventListener("click", async () => {
  const button = $("download");
  button.classList.add("busy");
  updateExport();
  try {
    const format = $("format").value;
    const accepted = items.decided("accepted");
    const images = await finished(accepted, thresholds, run.classes, (count) => {
      $("export-note").textContent = `${count} of ${accepted.length} masks are ready.`;
    });
    save(await exportMasks(format, images), `relmask-${format}.zip`);
    downloaded = true;
    say(`${counted(images.length, "mask")} downloaded.`);
  } catch (error) {
    failed(error);
  }
  button.classList.remove("busy");
  updateExport();
});

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

window.addEventListener("beforeunload", (event) => {
  if (!downloaded) event.preventDefault();
});

// --- keyboard, words ----------------------------------------------------------------------------------------

const KEYS = {
  a: () => decide("accepted"),
  r: () => decide("rejected"),
  u: () => decide(""),
  j: () => list.move(1),
  k: () => list.move(-1),
  m: () => $("show-mask").click(),
  v: () => $("show-relevance").click(),
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  const { target } = event;
  const typing = target.matches("select, textarea, input:not([type=range], [type=checkbox])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) {
    event.preventDefault();
    if (items.all.length || event.key === "?") action();
  } else if (!$("view").hidden && viewer.key(event)) {
    event.preventDefault();
  }
});
$("help-open").addEventListener("click", KEYS["?"]);

function failed(error) {
  if (error instanceof TokenNeeded) askToken();
  else toast(error.message, "wrong");
}

// --- begin --------------------------------------------------------------------------------------------------

$("filter").append(...FILTERS.map(([filter, text]) => {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "filter", value: filter, checked: filter === "all" });
  const count = Object.assign(document.createElement("small"), { id: `count-${filter}`, textContent: "0" });
  input.addEventListener("change", () => {
    items.filter = filter;
    reorder();
  });
  label.append(input, text, " ", count);
  return label;
}));
$("sort").addEventListener("change", () => {
  items.order = $("sort").value;
  reorder();
});
$("server-name").textContent = location.host;
takeTokenFromAddress();
showLayers();
updateExport();
showVerdict(null);
connect();
