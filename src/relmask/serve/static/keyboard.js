// Keys, and the help that lists them.

import { $ } from "./dom.js";

/**
 * @param {object} actions key -> what it does.
 * @param {function} other takes the event of any other key, and says whether it used it.
 */
export function useKeys(actions, other) {
  const help = () => $("help").showModal();
  $("help-open").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, textarea, input:not([type=range], [type=checkbox], [type=radio])");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const action = event.key === "?" ? help : actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) action();
    else if (!other(event)) return;
    event.preventDefault();
  });
}
