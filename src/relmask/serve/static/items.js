// The images of this session: what is known of each, what was decided, and in which order they are shown.

const MOST_BYTES = 512 * 2 ** 20; // of maps that are kept; the rest is asked for again when it is shown

export const FILTERS = [
  ["all", "All"],
  ["open", "To review"],
  ["accepted", "Accepted"],
  ["rejected", "Rejected"],
  ["failed", "Failed"],
];

const ORDERS = {
  doubt: (a, b) => doubt(a) - doubt(b),
  score: (a, b) => (b.result?.score ?? -1) - (a.result?.score ?? -1),
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  added: () => 0,
};

/** How far the server is from not knowing: 0 in doubt, 0.5 certain; what is not known yet comes last. */
function doubt(item) {
  return item.result ? Math.abs(item.result.score - 0.5) : 1;
}

export class Items {
  constructor() {
    this.all = [];
    this.filter = "all";
    this.order = "doubt";
    this._names = new Set();
    this._recent = new Map(); // item -> bytes of its maps, least recently shown first
    this._bytes = 0;
  }

  /** A new item for a file; null if there is one of that name. */
  add(file, name) {
    if (this._names.has(name)) return null;
    this._names.add(name);
    const item = {
      id: this.all.length,
      file,
      name,
      status: "waiting", // waiting, working, done, failed
      error: "",
      result: null, // what the server said, without maps
      maps: null, // class number -> Float32Array
      size: null, // [height, width] of the maps
      look: null, // Float32Array of novelty, of an image that was explained below its gate
      gates: "", // that the maps were made with
      thresholdsOfResult: "", // that the server's mask was made with
      found: null, // { labels, area, parts }, by the thresholds of the page
      decision: "", // accepted, rejected
      thumbnail: "",
      preview: "",
    };
    this.all.push(item);
    return item;
  }

  decided(decision) {
    return this.all.filter((item) => item.decision === decision);
  }

  matches(item, filter = this.filter) {
    if (filter === "all") return true;
    if (filter === "failed") return item.status === "failed";
    if (filter === "open") return !item.decision && item.status !== "failed";
    return item.decision === filter;
  }

  count(filter) {
    return this.all.reduce((sum, item) => sum + this.matches(item, filter), 0);
  }

  /** Those that are shown, in their order. */
  shown() {
    return this.all.filter((item) => this.matches(item)).sort((a, b) => ORDERS[this.order](a, b) || a.id - b.id);
  }

  /** Keep the maps of an item, and drop those of the ones not seen for longest. */
  keep(item, maps, size, look = null) {
    this.drop(item);
    item.maps = maps;
    item.size = size;
    item.look = look;
    const bytes = [...maps.values()].reduce((sum, map) => sum + map.byteLength, look?.byteLength ?? 0);
    this._recent.set(item, bytes);
    this._bytes += bytes;
    for (const old of this._recent.keys()) {
      if (this._bytes <= MOST_BYTES || old === item) break;
      this.drop(old);
    }
  }

  /** Say that an item was shown. */
  touch(item) {
    const bytes = this._recent.get(item);
    if (bytes === undefined) return;
    this._recent.delete(item);
    this._recent.set(item, bytes);
  }

  drop(item) {
    this._bytes -= this._recent.get(item) ?? 0;
    this._recent.delete(item);
    item.maps = item.look = null;
  }
}
