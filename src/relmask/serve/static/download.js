// The masks of accepted images as a file to download.

import { exportMasks } from "./api.js";
import { $ } from "./dom.js";
import { finished } from "./masking.js";
import { counted, say } from "./words.js";

const KEPT = 60_000; // milliseconds until the address of a file that was saved is given up

export class Download {
  /**
   * @param {Items} items
   * @param {Thresholds} thresholds
   * @param {object} on `failed(error)`.
   */
  constructor(items, thresholds, on) {
    this._items = items;
    this._thresholds = thresholds;
    this._on = on;
    this._classes = [];
    this._busy = false;
    this._complete = true; // are all accepted masks, as they are now, in a file?
    $("download").addEventListener("click", () => this._run());
    window.addEventListener("beforeunload", (event) => {
      if (!this._complete) event.preventDefault();
    });
    this.update();
  }

  use({ classes, formats }) {
    this._classes = classes;
    $("format").replaceChildren(...formats.map((name) => new Option(name, name)));
  }

  /** An image was accepted or taken back: what was downloaded before is not complete any more. */
  decided() {
    this._complete = !this._accepted.length;
    this.update();
  }

  /** Thresholds, and masks with them, have changed. */
  changed() {
    this._complete = this._complete && !this._accepted.length;
  }

  update() {
    const count = this._accepted.length;
    $("download").disabled = !count || this._busy;
    $("export-note").textContent = count ? `${counted(count, "image")} accepted.` : "Accept images to download their masks.";
  }

  get _accepted() {
    return this._items.decided("accepted");
  }

  async _run() {
    this._busy = true;
    this.update();
    try {
      const format = $("format").value;
      const accepted = this._accepted;
      const images = await finished(accepted, this._thresholds, this._classes, (count) => {
        $("export-note").textContent = `${count} of ${accepted.length} masks are ready.`;
      });
      save(await exportMasks(format, images), `relmask-${format}.zip`);
      this._complete = true;
      say(`${counted(images.length, "mask")} downloaded.`);
    } catch (error) {
      this._on.failed(error);
    }
    this._busy = false;
    this.update();
  }
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}
