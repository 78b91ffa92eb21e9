// Which images the list shows, and in which order.

import { $ } from "./dom.js";
import { FILTERS } from "./items.js";

export class Order {
  /**
   * @param {Items} items
   * @param {object} on `changed()` when a person chose another filter or order.
   */
  constructor(items, on) {
    this._items = items;
    $("filter").append(...FILTERS.map(([filter, text]) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "filter", value: filter, checked: filter === "all" });
      const count = Object.assign(document.createElement("small"), { id: `count-${filter}`, textContent: "0" });
      input.addEventListener("change", () => {
        items.filter = filter;
        on.changed();
      });
      label.append(input, text, " ", count);
      return label;
    }));
    $("sort").addEventListener("change", () => {
      items.order = $("sort").value;
      on.changed();
    });
  }

  /** Show how many items each filter has. */
  update() {
    for (const [filter] of FILTERS) $(`count-${filter}`).textContent = this._items.count(filter);
    $("list-empty").hidden = !this._items.all.length || this._items.count(this._items.filter) > 0;
  }
}
