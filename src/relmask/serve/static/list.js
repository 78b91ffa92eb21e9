// The list of images: a listbox whose options say everything that they show.

import { percent } from "./words.js";

const ROW = { waiting: "waiting", working: "in progress", failed: "failed" };

export class List {
  /**
   * @param {HTMLElement} element the listbox.
   * @param {object} on `selected(item)` whenever another is; `chosen()` when a person did it.
   */
  constructor(element, on) {
    this._element = element;
    this._on = on;
    this._rows = new Map(); // item -> li
    this._shown = [];
    this.selected = null;
    element.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (!row) return;
      this._on.chosen();
      this.select(this._shown.find((item) => this._rows.get(item) === row));
    });
    element.addEventListener("keydown", (event) => this._key(event));
  }

  /** Show these items, in this order. */
  show(items) {
    this._shown = items;
    const rows = items.map((item) => this._row(item));
    const current = this._element.children;
    if (rows.length !== current.length || rows.some((row, i) => row !== current[i])) {
      this._element.replaceChildren(...rows);
    }
  }

  /** Show anew what is known of an item. */
  update(item) {
    if (this._rows.has(item)) fill(this._rows.get(item), item, item === this.selected);
  }

  select(item, { scroll = true } = {}) {
    const before = this.selected;
    this.selected = item ?? null;
    if (before) this.update(before);
    if (item) {
      const row = this._row(item);
      this.update(item);
      this._element.setAttribute("aria-activedescendant", row.id);
      if (scroll) row.scrollIntoView({ block: "nearest" });
    } else {
      this._element.removeAttribute("aria-activedescendant");
    }
    this._on.selected(this.selected);
  }

  /** Select the item that lies so many places further; stops at the ends. */
  move(steps) {
    if (!this._shown.length) return;
    this._on.chosen();
    const at = this._shown.indexOf(this.selected);
    const to = at < 0 ? (steps > 0 ? 0 : this._shown.length - 1) : at + steps;
    this.select(this._shown[Math.min(Math.max(to, 0), this._shown.length - 1)]);
  }

  /** The next item after the selected one, then from the top, that fits. */
  following(fits) {
    const at = this._shown.indexOf(this.selected);
    return [...this._shown.slice(at + 1), ...this._shown.slice(0, Math.max(at, 0))].find(fits);
  }

  _key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (steps === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.move(steps);
  }

  _row(item) {
    let row = this._rows.get(item);
    if (!row) {
      row = document.createElement("li");
      row.id = `item-${item.id}`;
      row.setAttribute("role", "option");
      const image = document.createElement("img");
      image.alt = "";
      const text = document.createElement("div");
      text.append(document.createElement("b"), document.createElement("span"));
      const mark = document.createElement("i");
      mark.setAttribute("aria-hidden", "true");
      row.append(image, text, mark);
      this._rows.set(item, row);
      fill(row, item, item === this.selected);
    }
    return row;
  }
}

function fill(row, item, selected) {
  const [image, text, mark] = row.children;
  const summary = summaryOf(item);
  if (item.thumbnail && image.src !== item.thumbnail) image.src = item.thumbnail;
  image.classList.toggle("absent", !item.thumbnail);
  text.children[0].textContent = item.name.split("/").at(-1);
  text.children[1].textContent = summary;
  row.title = item.name;
  row.className = [item.status, item.decision, item.found?.labels.length ? "defect" : "clean"].join(" ").trim();
  row.setAttribute("aria-selected", String(selected));
  row.setAttribute("aria-label", [item.name, summary, item.decision].filter(Boolean).join(", "));
  mark.textContent = { accepted: "\u2713", rejected: "\u2715" }[item.decision] ?? "";
}

function summaryOf(item) {
  if (item.status === "failed") return item.error;
  if (!item.result) return ROW[item.status];
  const labels = item.found?.labels ?? [];
  return `${labels.length ? labels.join(", ") : "clean"} \u00b7 score ${percent(item.result.score)}`;
}
