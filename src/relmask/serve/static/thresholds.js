// Sliders of each class's thresholds, and what they stand at.

import { percent } from "./words.js";

const FIELDS = [
  { key: "gate", label: "Gate", into: "gate-slider" },
  { key: "level", label: "Level", into: "sliders" },
  { key: "min_area", label: "Minimum area", into: "sliders" },
];
const AREA = ["px", "Parts of the mask with fewer pixels are dropped."];
const MAPS = { probability: ["probability", ""], "Otsu's threshold": ["support", "× Otsu"], "logits a pixel": ["relevance", "logits/px"] }; // unit -> what, in short
const LARGEST_AREA = 1e9; // that the server takes
const STEPS = 1000;

export class Thresholds {
  /**
   * @param {object} on `moved()` while a slider moves, `settled()` when it is let go.
   */
  constructor(on) {
    this._on = on;
    this._choice = document.getElementById("class");
    this._saved = new Map(); // class -> thresholds of the run
    this._now = new Map(); // class -> thresholds of the sliders
    this._top = 0; // highest value of a map that was seen
    this._logits = new Map(); // class -> lowest and highest logit that was seen
    this._unit = ""; // of maps
    this._neverClean = false; // does every image show a class?
    this.windows = false; // does the run cut images into windows?
    this._inputs = Object.fromEntries(FIELDS.map((field) => [field.key, this._slider(field)]));
    this._choice.addEventListener("change", () => this._fill());
  }

  /** Take the classes of a run, and stand at its thresholds. */
  use({ classes, unit, windows, never_clean }) {
    this._neverClean = never_clean;
    this.windows = windows;
    const selected = this._choice.value;
    this._unit = unit;
    this._saved = new Map(classes.map(({ name, thresholds }) => [name, thresholds]));
    this._now = new Map(classes.map(({ name, thresholds }) => [name, { ...thresholds }]));
    this._choice.replaceChildren(...classes.map(({ name }) => new Option(name, name, false, name === selected)));
    this._choice.closest("label").hidden = classes.length < 2;
    this._fill();
  }

  reset() {
    for (const [name, saved] of this._saved) this._now.set(name, { ...saved });
    this._fill();
  }

  resetGates() {
    for (const [name, { gate }] of this._saved) this._now.get(name).gate = gate;
    this._fill();
  }

  /** Class that the sliders are about. */
  get name() {
    return this._choice.value;
  }

  /** Class -> gate, as the sliders stand, and of the run. */
  get gates() {
    return gatesOf(this._now);
  }

  get savedGates() {
    return gatesOf(this._saved);
  }

  get gatesChanged() {
    return [...this.savedGates].some(([name, gate]) => gate !== this._now.get(name).gate);
  }

  /** Numbers of the classes whose gates these logits, class -> logit, pass. */
  passing(logits) {
    const strongest = this.strongest(logits);
    return [...this._now].flatMap(([name, { gate }], k) => (logits[name] > gate || name === strongest ? [k] : []));
  }

  /** Class that passes whatever its gate, where every image shows one: the highest on the scale of images without it. */
  strongest(logits) {
    if (!this._neverClean) return null;
    const height = ([name, { clean_median, clean_spread }]) => (logits[name] - clean_median) / clean_spread;
    return [...this._now].reduce((best, entry) => (height(entry) > height(best) ? entry : best))[0];
  }

  /**
   * What a request says of thresholds: nothing where the run's own gates hold, unless `always`; and the keys of the
   * thresholds and gates that the answer is made with. The page itself cuts masks by level and area.
   */
  asked(always) {
    const own = !always && !this.gatesChanged;
    const fields = own ? {} : { thresholds: JSON.stringify(this.chosen) };
    return { own, fields, key: own ? this.savedKey : this.key, gates: this.gatesKey };
  }

  /** Tells apart gates. */
  get gatesKey() {
    return JSON.stringify([...this.gates]);
  }

  /** Show the thresholds of a class. */
  choose(name) {
    if (!this._now.has(name) || this._choice.value === name) return;
    this._choice.value = name;
    this._fill();
  }

  /** Thresholds of the k-th class. */
  of(k) {
    return [...this._now.values()][k];
  }

  /** What the server takes: class -> level, min_area and gate. */
  get chosen() {
    return withoutOthers(this._now);
  }

  /** Tells apart what masks were made with. */
  get key() {
    return JSON.stringify(this.chosen);
  }

  /** The same of the thresholds of the run. */
  get savedKey() {
    return JSON.stringify(withoutOthers(this._saved));
  }

  get changed() {
    return this.key !== this.savedKey;
  }

  /** Say how high maps get, so that the sliders reach as far. */
  seen(peak) {
    if (peak <= this._top) return;
    this._top = peak;
    this._fill();
  }

  /** Say which logits there are, class -> logit, so that the sliders of gates reach as far. */
  reach(logits) {
    let further = false;
    for (const [name, logit] of Object.entries(logits)) {
      const [low, high] = this._logits.get(name) ?? [Infinity, -Infinity];
      if (logit >= low && logit <= high) continue;
      this._logits.set(name, [Math.min(low, logit), Math.max(high, logit)]);
      further = true;
    }
    if (further) this._fill();
  }

  /** Where a logit of a class lies on the slider of its gate, from 0 to 1. */
  shareOfGate(name, logit) {
    const [low, high] = this._gateEnds(name);
    return Math.min(Math.max((logit - low) / (high - low), 0), 1);
  }

  _slider({ key, label, into }) {
    const row = document.createElement("div");
    row.className = "slider";
    const range = Object.assign(document.createElement("input"), { type: "range", id: `${key}-slider`, min: 0, max: STEPS });
    const number = Object.assign(document.createElement("input"), { type: "number", id: key, step: "any" });
    if (key !== "gate") number.min = 0;
    const name = Object.assign(document.createElement("label"), { htmlFor: number.id, textContent: label });
    const note = Object.assign(document.createElement("p"), { id: `${key}-help`, className: "soft small" });
    const unit = Object.assign(document.createElement("span"), { className: "unit soft" });
    range.setAttribute("aria-label", label);
    for (const input of [range, number]) input.setAttribute("aria-describedby", note.id);
    row.append(name, number, unit, range, note);
    document.getElementById(into).append(row);
    range.addEventListener("input", () => this._set(key, this._value(key, range.value / STEPS), range));
    number.addEventListener("input", () => {
      const value = Number(number.value);
      const allowed = key === "gate" || (key === "level" ? value > 0 : value >= 0);
      if (number.value !== "" && allowed) this._set(key, value, number);
    });
    for (const input of [range, number]) {
      input.addEventListener("change", () => {
        this._fill();
        this._on.settled();
      });
    }
    return { range, number, unit, note };
  }

  _set(key, value, source) {
    this._current[key] = key === "min_area" ? Math.min(Math.round(value), LARGEST_AREA) : value;
    this._fill(source);
    this._on.moved();
  }

  get _current() {
    return this._now.get(this._choice.value);
  }

  _fill(source = null) {
    const now = this._current;
    if (!now) return;
    for (const [key, { range, number, unit, note }] of Object.entries(this._inputs)) {
      const share = Math.min(Math.max(this._share(key, now[key]), 0), 1);
      if (range !== source) range.value = Math.round(share * STEPS);
      if (number !== source) number.value = Number(now[key].toPrecision(4));
      [unit.textContent, note.textContent] = this._meaning(key, now);
      range.setAttribute("aria-valuetext", `${number.value} ${unit.textContent}`);
    }
  }

  /** Unit of a threshold, and what it decides. */
  _meaning(key, now) {
    if (key === "min_area") return AREA;
    if (key === "level") return this._meaningOfLevel();
    const chance = gateChance(now);
    const score = chance === null ? "" : `, a score of ${percent(chance)}`;
    return ["logits", `Only an image above the gate${score} gets a mask of the class.`];
  }

  _meaningOfLevel() {
    const [value, unit] = MAPS[this._unit] ?? ["map", ""];
    return [unit, `The mask holds the pixels whose ${value} is above the level.`];
  }

  _gateEnds(name) {
    const { gate } = this._saved.get(name);
    const [low, high] = this._logits.get(name) ?? [gate, gate];
    const [first, last] = [Math.min(low, gate), Math.max(high, gate)];
    const margin = (last - first || 1) / 50;
    return [first - margin, last + margin];
  }

  // Where a value lies between the ends of its slider, from 0 to 1, and back. Small values have more room.

  _ends(key) {
    if (key === "gate") return this._gateEnds(this._choice.value);
    const saved = this._saved.get(this._choice.value);
    if (key === "min_area") return [0, Math.max(2000, 2 * saved.min_area)];
    if (this._unit === "probability") return [0.005, 1];
    return [saved.level / 20, Math.max(this._top, 5 * saved.level)];
  }

  _share(key, value) {
    const [low, high] = this._ends(key);
    if (key === "gate") return (value - low) / (high - low);
    return key === "level" ? Math.log(value / low) / Math.log(high / low) : Math.cbrt(value / high);
  }

  _value(key, share) {
    const [low, high] = this._ends(key);
    if (key === "gate") return Number((low + (high - low) * share).toPrecision(4));
    return Number((key === "level" ? low * (high / low) ** share : high * share ** 3).toPrecision(4));
  }
}

function withoutOthers(classes) {
  return Object.fromEntries([...classes].map(([name, { level, min_area, gate }]) => [name, { level, min_area, gate }]));
}

function gatesOf(classes) {
  return new Map([...classes].map(([name, { gate }]) => [name, gate]));
}

/** Probability of a class at its gate; null where its score does not tell images with the class from others. */
export function gateChance({ gate, slope, offset }) {
  return slope > 0 ? 1 / (1 + Math.exp(-(slope * gate + offset))) : null;
}
