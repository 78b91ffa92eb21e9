// The page: its parts, and what happens between them.

import { Connection } from "./connection.js";
import { $ } from "./dom.js";
import { Gates } from "./gates.js";
import { Download } from "./download.js";
import { chosen, onDrop } from "./drop.js";
import { Items } from "./items.js";
import { useKeys } from "./keyboard.js";
import { List } from "./list.js";
import { lacksMaps, maskOf, measure, peak } from "./masking.js";
import { Order } from "./order.js";
import { showProgress } from "./progress.js";
import { Saving } from "./saving.js";
import { Thresholds } from "./thresholds.js";
import { canExplain, showVerdict } from "./verdict.js";
import { Viewer } from "./viewer.js";
import { counted, say, toast } from "./words.js";
import { Work } from "./work.js";

let run = null;
let untouched = true; // did nobody choose an image yet?
const items = new Items();
const viewer = new Viewer();
const connection = new Connection({ connected: useRun });
const failed = (error) => connection.failed(error);
const list = new List($("list"), { selected: show, chosen: () => { untouched = false; } });
const order = new Order(items, { changed: reorder });
const thresholds = new Thresholds({ moved: thresholdsMoved, settled: measureAll });
const gates = new Gates(items, thresholds, { reset: thresholdsReset });
const download = new Download(items, thresholds, { failed });
const saving = new Saving(thresholds, {
  saved: useRun,
  reset: thresholdsReset,
  failed,
});
const work = new Work({
  changed: itemChanged,
  explained,
  asked: (always) => thresholds.asked(always),
  savedKey: () => thresholds.savedKey,
  offline: () => connection.offline(),
  online: () => connection.online(),
  tokenNeeded: () => connection.askToken(),
});

function useRun(described) {
  run = described;
  $("run-name").textContent = run.name;
  thresholds.use(run);
  viewer.use(run);
  download.use(run);
  saving.update(run);
  gates.use(run);
  work.use(run);
}

// --- images come in -----------------------------------------------------------------------------------------

function add(found) {
  const fresh = found.map(({ file, name }) => items.add(file, name)).filter(Boolean);
  const known = found.length - fresh.length;
  if (!found.length) toast("No images found there.");
  else if (known) toast(`${counted(known, "image")} of the same name ${known > 1 ? "are" : "is"} already in the list.`);
  if (!fresh.length) return;
  const within = $("welcome").contains(document.activeElement);
  $("welcome").hidden = true;
  $("view").hidden = false;
  refresh();
  if (!list.selected) list.select(items.shown()[0]);
  if (within) $("list").focus();
  for (const item of fresh) work.add(item);
  say(`${counted(fresh.length, "image")} added.`);
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

function explained(item, { maps, size, look, key, gates: madeWith }) {
  item.thresholdsOfResult = key;
  item.gates = madeWith;
  if (size) items.keep(item, maps, size, look);
  else items.drop(item);
  thresholds.seen(peak(item));
  thresholds.reach(item.result.logits);
  measure(item, maskOf(item, thresholds), run.classes, thresholds);
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
    order.update();
    const first = shown.find((item) => item.status === "done");
    if (first && untouched && (!list.selected?.result || !shown.some(isPending))) list.select(first);
    showProgress(items);
    download.update();
    gates.update();
  });
}

/** Another order or filter counts at once: the next key may come before the next frame. */
function reorder() {
  list.show(items.shown());
  refresh();
}

// --- the image that is shown --------------------------------------------------------------------------------

let shownItem = null;
let shownSource = null;
let classChosenFor = null; // an answer that comes later must not take the sliders away from a person

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
    if (item.status === "done" && lacksMaps(item, thresholds)) work.again(item);
    if (item.status === "done" && item !== classChosenFor) {
      classChosenFor = item;
      const label = item.found?.labels[0] ?? item.result.explained;
      if (label) thresholds.choose(label);
    }
  }
  draw();
}

function draw() {
  const item = list.selected;
  const mask = item ? maskOf(item, thresholds) : null;
  const [name, map] = (item?.maps && mapOfClass(item)) || ["", null];
  viewer.drawMap(map, item?.size ?? [1, 1], name);
  viewer.drawLook(item?.look ?? null, item?.size ?? [1, 1]);
  $("look-toggle").hidden = !item?.look;
  viewer.drawMask(mask, item?.size ?? [1, 1]);
  if (item) measure(item, mask, run?.classes ?? [], thresholds);
  showVerdict(item, run, thresholds);
  gates.update();
  updateDecision(item);
  if (item) list.update(item);
}

/** Name and map of the class that the sliders are about, or else of the first that has a map. */
function mapOfClass(item) {
  const named = [...item.maps].map(([k, map]) => [run.classes[k].name, map]);
  return named.find(([name]) => name === $("class").value) ?? named[0];
}

$("class").addEventListener("change", draw);
for (const id of ["show-mask", "show-map", "show-look"]) $(id).addEventListener("change", showLayers);
$("opacity").addEventListener("input", showLayers);
function showLayers() {
  viewer.opacity = $("opacity").value / 100;
  viewer.shows = { mask: $("show-mask").checked, map: $("show-map").checked, look: $("show-look").checked };
}

/** Show why an image that is called clean is so, though its scores are below their gates. */
function explainAnyway() {
  const item = list.selected;
  if (!canExplain(item, thresholds)) return;
  classChosenFor = null;
  work.again(item, true);
  say(`${item.name} is explained.`);
}
$("explain").addEventListener("click", explainAnyway);

// --- decisions ----------------------------------------------------------------------------------------------

function decide(decision) {
  const item = list.selected;
  if (!item?.result) return;
  const next = decision ? list.following((other) => !other.decision && other.status === "done") : null;
  untouched = false;
  item.decision = item.decision === decision ? "" : decision;
  download.decided();
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

const withImages = (action) => () => { if (items.all.length) action(); };
useKeys({
  a: withImages(() => decide("accepted")),
  r: withImages(() => decide("rejected")),
  u: withImages(() => decide("")),
  j: withImages(() => list.move(1)),
  k: withImages(() => list.move(-1)),
  m: withImages(() => $("show-mask").click()),
  v: withImages(() => $("show-map").click()),
  f: withImages(() => $("show-look").click()),
  e: withImages(explainAnyway),
}, (event) => !$("view").hidden && viewer.key(event));

// --- thresholds move ----------------------------------------------------------------------------------------

let drawing = false;
function thresholdsMoved() {
  saving.update(run);
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function thresholdsReset() {
  draw();
  measureAll();
}

/** Bring the list up to date, a few milliseconds at a time. */
let measuring = 0;
async function measureAll() {
  const turn = ++measuring;
  download.changed();
  saving.update(run);
  for (const item of items.all) {
    if (!item.result) continue;
    measure(item, maskOf(item, thresholds), run.classes, thresholds);
    list.update(item);
    await new Promise((done) => setTimeout(done));
    if (turn !== measuring) return;
  }
  const item = list.selected;
  if (item?.status === "done" && lacksMaps(item, thresholds)) work.again(item);
  else if (item?.found) say(`${item.name}: ${item.found.labels.join(", ") || "clean"}, ${counted(item.found.parts, "part")}, ${item.found.area} pixels.`);
}

showLayers();
showVerdict(null, null, thresholds);
connection.open();
