// What the page says: to everyone in a box that goes away, and to people who listen.

const live = document.getElementById("live");
const box = document.getElementById("toast");
let timer = 0;

/** Tell people who listen to the page. */
export function say(text) {
  live.textContent = text;
}

/** Show a message for some seconds; `kind` is "", "done" or "wrong". */
export function toast(text, kind = "") {
  clearTimeout(timer);
  box.textContent = text;
  box.className = `toast ${kind}`;
  box.hidden = false;
  timer = setTimeout(() => { box.hidden = true; }, 6000);
}

/** A number and its noun. */
export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}
