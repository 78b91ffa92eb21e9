// How many images are done.

import { $ } from "./dom.js";
import { say } from "./words.js";

const PAUSE = 5000; // milliseconds between two messages to people who listen to the page

let told = 0;

/** Show the progress of these items. */
export function showProgress(items) {
  const total = items.all.length;
  const failed = items.count("failed");
  const done = items.all.filter(({ status }) => status === "done" || status === "failed").length;
  const text = `${done} of ${total} done${failed ? `, ${failed} failed` : ""}`;
  $("progress-box").hidden = !total;
  $("progress").max = total || 1;
  $("progress").value = done;
  $("progress-box").classList.toggle("complete", done === total);
  document.title = done < total ? `${done}/${total} \u00b7 relmask` : "relmask";
  if ($("progress-text").textContent === text) return;
  $("progress-text").textContent = text;
  if (done && (done === total || Date.now() - told > PAUSE)) {
    told = Date.now();
    say(text);
  }
}
