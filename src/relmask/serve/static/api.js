// Talks to the server: one function a route, and errors that say what to do about them.

/** The server cannot be reached: try again later. */
export class Offline extends Error {}

/** The server has too much to do: try again after `seconds`. */
export class Busy extends Error {
  constructor(message, seconds) {
    super(message);
    this.seconds = seconds;
  }
}

/** The server asks for a token, or another one. */
export class TokenNeeded extends Error {}

/** The server will not do this, and says why. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const STORED = "relmask token";
let token = sessionStorage.getItem(STORED) ?? "";

/** Take the token from the address, as `relmask serve` prints it, and out of sight. */
export function takeTokenFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  useToken(given);
  history.replaceState(null, "", location.pathname + location.search);
}

export function useToken(given) {
  token = given.trim();
  sessionStorage.setItem(STORED, token);
}

async function ask(path, options = {}) {
  let answer;
  try {
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    answer = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Offline("The server does not answer.");
  }
  if (answer.ok) return answer;
  const reason = await reasonOf(answer);
  if (answer.status === 503) throw new Busy(reason, Number(answer.headers.get("Retry-After")) || 1);
  if (answer.status === 401) throw new TokenNeeded(reason);
  throw new Refused(reason, answer.status);
}

async function reasonOf(answer) {
  try {
    const { detail } = await answer.json();
    if (typeof detail === "string") return detail;
    return detail.map((entry) => `${entry.loc.at(-1)}: ${entry.msg}`).join("; ");
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

export async function health() {
  await ask("health");
}

/** Classes, thresholds and limits. */
export async function describeRun() {
  return (await ask("run")).json();
}

/** Labels and logits of the images that the run's gates were chosen from. */
export async function describeScores() {
  return (await ask("scores")).json();
}

/** Segment one picture; `fields` are those of POST /segment. */
export async function segment(file, name, fields) {
  const form = new FormData();
  form.append("images", file, name);
  for (const [field, value] of Object.entries(fields)) form.append(field, String(value));
  const { images } = await (await ask("segment", { method: "POST", body: form })).json();
  return images[0];
}

/** Save thresholds to the run; gives what `describeRun` gives. */
export async function saveThresholds(chosen) {
  return (await ask("thresholds", json("PUT", chosen))).json();
}

/** A zip file of masks in a format. */
export async function exportMasks(format, images) {
  return (await ask("export", json("POST", { format, images }))).blob();
}

function json(method, value) {
  return { method, body: JSON.stringify(value), headers: { "Content-Type": "application/json" } };
}
