// The result of the selected image in words and bars.

import { $ } from "./dom.js";
import { gateChance } from "./thresholds.js";
import { counted, percent } from "./words.js";

const EXPLAINED = "The heatmap is that of the strongest class.";
const LOOKED = "Red: the strongest class. Yellow: looked at first, as least like clean images.";
const NOTHING = {
  none: "Select an image to see its scores.",
  waiting: "No scores yet.",
  working: "No scores yet.",
  failed: "No scores: the image could not be segmented.",
};

/** Show the result of an item; null where none is selected, or the run is not known yet. */
export function showVerdict(item, run, thresholds) {
  const labels = item?.found?.labels ?? [];
  const result = item?.result;
  $("verdict").className = `verdict ${result ? (labels.length ? "defect" : "clean") : ""}`;
  $("verdict").textContent = result ? labels.join(", ") || "clean" : "";
  $("scores").replaceChildren(...(result ? rows(result, run.classes, thresholds) : []));
  $("scores-note").hidden = !result;
  $("parts").textContent = result ? describeMask(item) : NOTHING[item?.status ?? "none"];
  const note = noteOf(item, thresholds);
  $("view-note-text").textContent = note;
  $("explain").hidden = !canExplain(item, thresholds);
  $("view-note").hidden = !note;
  $("view-note").classList.toggle("wrong", item?.status === "failed");
}

/** Is an item below its gates, and not explained yet? */
export function canExplain(item, thresholds) {
  return item?.status === "done" && !item.maps?.size && !thresholds.passing(item.result.logits).length;
}

function rows(result, classes, thresholds) {
  return [
    row("any defect", result.score),
    ...classes.map(({ name, colour }, k) => row(name, result.scores[name], { colour, gate: gateChance(thresholds.of(k)) })),
  ];
}

function row(name, value, { colour = null, gate = null } = {}) {
  const element = document.createElement("li");
  const label = Object.assign(document.createElement("span"), { textContent: name });
  const bar = document.createElement("i");
  const figure = Object.assign(document.createElement("b"), { textContent: percent(value) });
  bar.setAttribute("aria-hidden", "true");
  bar.style.setProperty("--share", value);
  if (colour) bar.style.setProperty("--colour", `rgb(${colour})`);
  element.append(label, bar, figure);
  if (gate !== null) {
    bar.classList.add("gated");
    bar.style.setProperty("--gate", gate);
    element.title = `Gate: ${percent(gate)}`;
    element.append(Object.assign(document.createElement("em"), { className: "hidden", textContent: element.title }));
  }
  return element;
}

function describeMask({ result, found }) {
  const { area = 0, parts = 0, exact = true } = found ?? {};
  if (parts === null) return "Above the gate. The mask is made when the image is shown.";
  if (!parts) return `No mask. Size: ${result.width} \u00d7 ${result.height} px.`;
  const share = (100 * area) / (result.width * result.height);
  return `Mask: ${exact ? "" : "about "}${counted(parts, "part")}, ${area.toLocaleString("en")} px, ` +
    `${share.toFixed(share < 1 ? 2 : 1)} % of ${result.width} \u00d7 ${result.height} px.`;
}

function noteOf(item, thresholds) {
  switch (item?.status) {
    case "waiting": return "Waiting for the server";
    case "working": return "In progress";
    case "failed": return item.error;
    case "done":
      if (item.result.warning) return `Warning: ${item.result.warning}`;
      if (thresholds.passing(item.result.logits).length) return "";
      if (!item.maps?.size) return "Clean: all scores are below their gates, so there is no heatmap.";
      return `Below the gate, so no mask. ${item.look ? LOOKED : EXPLAINED}`;
    default: return "";
  }
}
