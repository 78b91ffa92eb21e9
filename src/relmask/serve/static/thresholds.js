// Sliders of each class's thresholds, and what they stand at.

const FIELDS = [
  { key: "level", label: "Level" },
  { key: "min_area", label: "Minimum area" },
];
const AREA = ["px", "Parts of the mask with fewer pixels are dropped."];
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
    this._unit = ""; // of maps
    this._inputs = Object.fromEntries(FIELDS.map((field) => [field.key, this._slider(field)]));
    this._choice.addEventListener("change", () => this._fill());
  }

  /** Take the classes of a run, and stand at its thresholds. */
  use({ classes, unit }) {
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

  /** What the server takes: class -> level and min_area. */
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

  _slider({ key, label }) {
    const row = document.createElement("div");
    row.className = "slider";
    const range = Object.assign(document.createElement("input"), { type: "range", id: `${key}-slider`, min: 0, max: STEPS });
    const number = Object.assign(document.createElement("input"), { type: "number", id: key, min: 0, step: "any" });
    const name = Object.assign(document.createElement("label"), { htmlFor: number.id, textContent: label });
    const note = Object.assign(document.createElement("p"), { id: `${key}-help`, className: "soft small" });
    const unit = Object.assign(document.createElement("span"), { className: "unit soft" });
    range.setAttribute("aria-label", label);
    for (const input of [range, number]) input.setAttribute("aria-describedby", note.id);
    row.append(name, number, unit, range, note);
    document.getElementById("sliders").append(row);
    range.addEventListener("input", () => this._set(key, this._value(key, range.value / STEPS), range));
    number.addEventListener("input", () => {
      const value = Number(number.value);
      if (number.value !== "" && value >= 0 && (key !== "level" || value > 0)) this._set(key, value, number);
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
      [unit.textContent, note.textContent] = key === "level" ? this._meaningOfLevel(now.level_of) : AREA;
      range.setAttribute("aria-valuetext", `${number.value} ${unit.textContent}`);
    }
  }

  /** Unit of a level, and what it decides. */
  _meaningOfLevel(levelOf) {
    const value = this._unit === "probability" ? "probability" : "relevance";
    if (levelOf === "peak") {
      return ["share", `The mask holds the pixels whose ${value} is above this share of the image's highest.`];
    }
    const unit = value === "probability" ? "" : "logits/px";
    return [unit, `The mask holds the pixels whose ${value} is above the level.`];
  }

  // Where a value lies between the ends of its slider, from 0 to 1, and back. Small values have more room.

  _ends(key) {
    const saved = this._saved.get(this._choice.value);
    if (key === "min_area") return [0, Math.max(2000, 2 * saved.min_area)];
    if (saved.level_of === "peak" || this._unit === "probability") return [0.005, 1];
    return [saved.level / 20, Math.max(this._top, 5 * saved.level)];
  }

  _share(key, value) {
    const [low, high] = this._ends(key);
    return key === "level" ? Math.log(value / low) / Math.log(high / low) : Math.cbrt(value / high);
  }

  _value(key, share) {
    const [low, high] = this._ends(key);
    return Number((key === "level" ? low * (high / low) ** share : high * share ** 3).toPrecision(4));
  }
}

function withoutOthers(classes) {
  return Object.fromEntries([...classes].map(([name, { level, min_area }]) => [name, { level, min_area }]));
}
