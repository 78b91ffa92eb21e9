// The result of the selected image in words and bars.

import { $ } from "./dom.js";
import { counted, percent } from "./words.js";

const NOTHING = {
  none: "Select an image to see its scores.",
  waiting: "No scores yet.",
  working: "No scores yet.",
  failed: "No scores: the image could not be segmented.",
};

/** Show the result of an item; null where none is selected, or the run is not known yet. */
export function showVerdict(item, run) {
  const labels = item?.found?.labels ?? [];
  const result = item?.result;
  $("verdict").className = `verdict ${result ? (labels.length ? "defect" : "clean") : ""}`;
  $("verdict").textContent = result ? labels.join(", ") || "clean" : "";
  $("scores").replaceChildren(...(result ? rows(result, run.classes) : []));
  $("scores-note").hidden = !result;
  $("parts").textContent = result ? describeMask(item) : NOTHING[item?.status ?? "none"];
  const note = noteOf(item);
  $("view-note").textContent = note;
  $("view-note").hidden = !note;
  $("view-note").classList.toggle("wrong", item?.status === "failed");
}

function rows(result, classes) {
  return [
    row("any defect", result.score),
    ...classes.map(({ name, colour, thresholds }) => row(name, result.scores[name], { colour, gate: gateOf(thresholds) })),
  ];
}

/** Probability of a class at its gate; null where its score does not tell images with the class from others. */
function gateOf({ gate, slope, offset }) {
  return slope > 0 ? 1 / (1 + Math.exp(-(slope * gate + offset))) : null;
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
  if (!parts) return `No mask. Size: ${result.width} \u00d7 ${result.height} px.`;
  const share = (100 * area) / (result.width * result.height);
  return `Mask: ${exact ? "" : "about "}${counted(parts, "part")}, ${area.toLocaleString("en")} px, ` +
    `${share.toFixed(share < 1 ? 2 : 1)} % of ${result.width} \u00d7 ${result.height} px.`;
}

function noteOf(item) {
  switch (item?.status) {
    case "waiting": return "Waiting for the server";
    case "working": return "In progress";
    case "failed": return item.error;
    case "done":
      if (item.result.warning) return `Warning: ${item.result.warning}`;
      return item.explained ? "" : "Clean: all scores are below their gates, so there is no heatmap.";
    default: return "";
  }
}
