// The masks that the thresholds of the page cut from the maps of an item.

import { segment } from "./api.js";
import { combine, components, peakOf, toRuns } from "./masks.js";

/** The mask of an item under the thresholds, in the size of its maps; null where there are none. */
export function maskOf(item, thresholds) {
  if (!item.maps?.size || lacksMaps(item, thresholds)) return null;
  const passing = thresholds.passing(item.result.logits);
  const [height, width] = item.size;
  const scale = (item.result.width * item.result.height) / (width * height);
  const chosen = new Map();
  for (const k of passing) {
    const of = thresholds.of(k);
    chosen.set(k, { ...of, min_area: of.min_area / scale });
  }
  return combine(new Map(passing.map((k) => [k, item.maps.get(k)])), width, height, chosen);
}

/** Does an item pass gates without the maps that its mask is cut from? Windows pass gates each for itself. */
export function lacksMaps(item, thresholds) {
  const passing = item.result ? thresholds.passing(item.result.logits) : [];
  const others = thresholds.windows && item.gates !== thresholds.gatesKey;
  return passing.length > 0 && (others || passing.some((k) => !item.maps?.has(k)));
}

/** Note in the item which classes its mask holds, and how much of each. */
export function measure(item, mask, classes, thresholds) {
  if (!item.result) return;
  if (!mask) {
    const passing = thresholds.passing(item.result.logits).map((k) => classes[k].name);
    if (!passing.length) item.found = { labels: [], area: 0, parts: 0, exact: true };
    // What was found before holds where its maps were dropped alone; else the mask is made when the item is shown.
    else if (item.maps || !item.found?.labels.length) item.found = { labels: passing, area: null, parts: null, exact: false };
    return;
  }
  const [height, width] = item.size;
  const areas = new Map();
  const parts = components(mask, width, height);
  for (const { value, area } of parts) areas.set(value, (areas.get(value) ?? 0) + area);
  const scale = (item.result.width * item.result.height) / (width * height);
  item.found = {
    labels: [...areas].sort((a, b) => b[1] - a[1]).map(([value]) => classes[value - 1].name),
    area: Math.round(scale * [...areas.values()].reduce((sum, area) => sum + area, 0)),
    parts: parts.length,
    exact: isExact(item),
  };
}

/** Highest value of an item's maps. */
export function peak(item) {
  return Math.max(0, ...[...(item.maps?.values() ?? [])].map(peakOf));
}

/** Items with their final masks, as the server exports them; `told` is called with how many are ready. */
export async function finished(items, thresholds, classes, told) {
  const images = [];
  for (const item of items) {
    const { width, height, score, scores } = item.result;
    const rle = await finalRuns(item, thresholds, classes);
    images.push({ name: item.name, width, height, score, scores, rle });
    told(images.length);
  }
  return images;
}

/** The final mask of an item at the size of its image, as runs of each class; large ones are asked for. */
async function finalRuns(item, thresholds, classes) {
  if (!thresholds.passing(item.result.logits).length) return [];
  if (item.thresholdsOfResult === thresholds.key) return item.result.rle;
  if (item.maps && isExact(item) && !lacksMaps(item, thresholds)) {
    const [height, width] = item.size;
    const mask = maskOf(item, thresholds);
    const present = new Set(mask);
    return classes
      .map(({ name }, k) => ({ label: name, value: k + 1 }))
      .filter(({ value }) => present.has(value))
      .map(({ label, value }) => ({ label, size: [height, width], counts: toRuns(mask, width, height, value) }));
  }
  const fields = { mask: "rle", thresholds: JSON.stringify(thresholds.chosen) };
  return (await segment(item.file, item.name, fields)).rle;
}

function isExact(item) {
  return item.size[1] === item.result.width && item.size[0] === item.result.height;
}
