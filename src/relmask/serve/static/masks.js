// From maps to a mask, exactly as relmask.masks.binarise does it: a threshold a class.
// Maps are Float32Array in reading order; thresholds have level and min_area.

export function peakOf(map) {
  let peak = 0;
  for (let i = 0; i < map.length; i++) if (map[i] > peak) peak = map[i];
  return peak;
}

/** Mask of one class: Uint8Array, 1 = inside. */
export function binarise(map, width, height, thresholds) {
  const mask = new Uint8Array(map.length);
  for (let i = 0; i < map.length; i++) if (map[i] > thresholds.level) mask[i] = 1;
  if (thresholds.min_area > 1) {
    for (const part of components(mask, width, height)) {
      if (part.area < thresholds.min_area) for (const i of part.pixels) mask[i] = 0;
    }
  }
  return mask;
}

/**
 * One mask of several classes; where they overlap, the higher value over its threshold wins.
 * `maps` and `thresholds` go from a class's number, from 0, to its map and thresholds, in the classes' order.
 */
export function combine(maps, width, height, thresholds) {
  const mask = new Uint8Array(width * height);
  const strongest = new Float32Array(width * height);
  for (const [k, map] of maps) {
    const inside = binarise(map, width, height, thresholds.get(k));
    const divisor = Math.fround(thresholds.get(k).level);
    for (let i = 0; i < map.length; i++) {
      if (!inside[i]) continue;
      const strength = Math.fround(map[i] / divisor);
      if (strength > strongest[i]) {
        mask[i] = k + 1;
        strongest[i] = strength;
      }
    }
  }
  return mask;
}

/** Connected parts (8 neighbours) of equal value: {value, area, pixels}, in reading order of their first pixels. */
export function components(mask, width, height) {
  const seen = new Uint8Array(mask.length);
  const found = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || seen[start]) continue;
    const value = mask[start];
    const pixels = [start];
    seen[start] = 1;
    for (let n = 0; n < pixels.length; n++) {
      const i = pixels[n];
      const x = i % width;
      const y = (i - x) / width;
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          const j = v * width + u;
          if (mask[j] === value && !seen[j]) {
            seen[j] = 1;
            pixels.push(j);
          }
        }
      }
    }
    found.push({ value, area: pixels.length, pixels });
  }
  return found;
}

/** COCO's text of the run lengths, column by column, of the pixels that have this value. */
export function toRuns(mask, width, height, value) {
  const counts = [];
  let inside = false;
  let length = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if ((mask[y * width + x] === value) !== inside) {
        counts.push(length);
        length = 0;
        inside = !inside;
      }
      length++;
    }
  }
  counts.push(length);
  return counts.map((count, i) => toText(i > 2 ? count - counts[i - 2] : count)).join("");
}

/** A number in groups of 5 bits, low first: bit 6 says that more follow, bit 5 of the last is the sign, 48 is added. */
function toText(number) {
  let text = "";
  for (;;) {
    const low = number & 31;
    number >>= 5;
    const last = number === (low & 16 ? -1 : 0);
    text += String.fromCharCode(48 + low + (last ? 0 : 32));
    if (last) return text;
  }
}
