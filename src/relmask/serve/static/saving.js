// Thresholds that were moved: saved to the run, or taken back; and where the run's own come from.

import { saveThresholds } from "./api.js";
import { $ } from "./dom.js";
import { toast } from "./words.js";

export class Saving {
  /**
   * @param {Thresholds} thresholds
   * @param {object} on `saved(run)`, `reset()`, and `failed(error)` where the server did not save.
   */
  constructor(thresholds, on) {
    this._thresholds = thresholds;
    this._on = on;
    $("reset").addEventListener("click", () => {
      thresholds.reset();
      on.reset();
    });
    $("save").addEventListener("click", () => this._save());
  }

  /** Show whether there is something to save. */
  update(run) {
    const { changed } = this._thresholds;
    $("changed").hidden = !changed;
    $("reset").disabled = $("save").disabled = !changed;
    if (run) this._say(changed ? "Only this page uses the new thresholds, until you save them." : originOf(run));
  }

  async _save() {
    try {
      this._on.saved(await saveThresholds(this._thresholds.chosen));
      toast("Thresholds saved to the run.", "done");
    } catch (error) {
      this._say(error.message, true);
      this._on.failed(error);
    }
  }

  _say(text, wrong = false) {
    $("save-note").textContent = text;
    $("save-note").classList.toggle("wrong", wrong);
  }
}

function originOf({ by_hand, saw_masks }) {
  const moved = by_hand ? ", moved by hand" : "";
  return saw_masks
    ? `The run's own thresholds${moved}. True masks helped to train the run or to choose thresholds.`
    : `The run's own thresholds${moved}. No true mask was used: the run comes from labels alone.`;
}
