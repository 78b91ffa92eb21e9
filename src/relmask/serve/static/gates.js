// What the gates do: which images of this page and of those that the run keeps pass them, and false alarms to expect.

import { describeScores } from "./api.js";
import { $ } from "./dom.js";

/** Is an image with these logits, class -> logit, above the gate of the class? */
export const passes = (logits, name, gate) => logits[name] > gate;

/**
 * How many kept images pass the gates.
 *
 * `images` are those of GET /scores with logits by name, `gates` goes from class to gate. Without any clean image, those
 * without the class take their place, as when gates are chosen. Images of one object count as one in `alarms`.
 * `strongest` gives the class that passes for its logits whatever the gate, or null.
 */
export function effect(images, name, gates, strongest = () => null) {
  const one = ({ logits }) => passes(logits, name, gates.get(name)) || strongest(logits) === name;
  const any = (image) => [...gates].some(([of, gate]) => passes(image.logits, of, gate));
  const clean = images.filter(({ labels }) => !labels.length);
  const negative = clean.length ? clean : images.filter(({ labels }) => !labels.includes(name));
  const sizes = new Map();
  for (const { group } of negative) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const alarm = clean.length ? any : one;
  const alarms = negative.filter(alarm).reduce((sum, { group }) => sum + 1 / sizes.get(group), 0);
  const positive = images.filter(({ labels }) => labels.includes(name));
  return {
    defective: [positive.filter(one).length, positive.length],
    clean: [negative.filter(one).length, negative.length],
    groups: sizes.size,
    alarms: sizes.size ? alarms / sizes.size : 0,
    hasClean: clean.length > 0,
  };
}

export class Gates {
  /**
   * @param {Items} items
   * @param {Thresholds} thresholds
   * @param {object} on `reset()` when a person took the run's gates back.
   */
  constructor(items, thresholds, on) {
    this._items = items;
    this._thresholds = thresholds;
    this._images = []; // that the run keeps
    this._why = "";
    $("reset-gates").addEventListener("click", () => {
      thresholds.resetGates();
      on.reset();
    });
  }

  /** Ask for the scores that a run keeps. */
  async use({ classes }) {
    try {
      const { images } = await describeScores();
      const named = (logits) => Object.fromEntries(classes.map(({ name }, k) => [name, logits[k]]));
      this._images = images.map(({ logits, ...image }) => ({ ...image, logits: named(logits) }));
      this._why = "";
    } catch (error) {
      this._images = [];
      this._why = error.message;
    }
    for (const { logits } of this._images) this._thresholds.reach(logits);
    this.update();
  }

  /** Show what the gates do as they stand. */
  update() {
    const name = this._thresholds.name;
    if (!name) return;
    const [now, own] = [this._thresholds.gates, this._thresholds.savedGates];
    const here = this._items.all.filter(({ result }) => result).map(({ result }) => result.logits);
    const strongest = (logits) => this._thresholds.strongest(logits);
    const above = (gates) => here.filter((logits) => passes(logits, name, gates.get(name)) || strongest(logits) === name).length;
    const known = (gates) => effect(this._images, name, gates, strongest);
    const rows = [["Images here", `${above(now)} of ${here.length}`, above(own), "here"]];
    if (this._images.length) rows.push(...kept(name, known(now), known(own)));
    $("gate-effect").replaceChildren(...rows.map(row));
    $("gate-source").textContent = this._why || sourceOf(this._images);
    $("reset-gates").disabled = !this._thresholds.gatesChanged;
    this._draw(name, here);
  }

  /** A tick for each image, below the slider: where its logit lies. */
  _draw(name, here) {
    const clean = this._images.filter(({ labels }) => !labels.length);
    const positive = this._images.filter(({ labels }) => labels.includes(name));
    const lines = [["clean", clean], ["defective", positive], ["here", here.map((logits) => ({ logits }))]];
    $("gate-ticks").replaceChildren(...lines.filter(([, images]) => images.length).map(([kind, images]) => {
      const line = document.createElement("div");
      line.className = `ticks ${kind}`;
      const shares = new Set(images.map(({ logits }) => this._thresholds.shareOfGate(name, logits[name]).toFixed(3)));
      line.append(...[...shares].map((share) => {
        const tick = document.createElement("i");
        tick.style.setProperty("--at", share);
        return tick;
      }));
      return line;
    }));
  }
}

function kept(name, now, own) {
  const shown = ({ alarms, groups }) => (alarms ? share(alarms) : groups ? `< ${share(1 / groups)}` : "unknown");
  return [
    [`Known ${name}`, `${now.defective[0]} of ${now.defective[1]}`, own.defective[0], "defective"],
    [now.hasClean ? "Known clean" : `Known without ${name}`, `${now.clean[0]} of ${now.clean[1]}`, own.clean[0], "clean"],
    [now.hasClean ? "False alarms, all classes" : "False alarms", shown(now), shown(own)],
  ];
}

function row([title, now, own, kind = ""]) {
  const line = document.createElement("tr");
  const head = Object.assign(document.createElement("th"), { scope: "row", textContent: title, className: kind });
  line.append(head, ...[now, own].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
  return line;
}

function sourceOf(images) {
  if (!images.length) return "";
  const names = { validation: "validation", "cross-fitted": "training, each judged without itself", training: "training", new: "calibration" };
  const counts = new Map();
  for (const { source } of images) counts.set(source, (counts.get(source) ?? 0) + 1);
  const parts = [...counts].map(([source, count]) => `${count} of ${names[source]}`);
  return `Known images: ${parts.join(", ")}. False alarms: share of clean objects with an image above any gate.`;
}

function share(value) {
  return `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)}\u00a0%`;
}
