// Sends images to the server, a few at a time, and waits while it is busy or gone.

import { Busy, Offline, TokenNeeded, health, segment } from "./api.js";

const SIDE = 1024; // longest side of maps and previews that are asked for
const AT_ONCE = 3;
const ENVELOPE = 4096; // bytes of a request beside the file
const SHOWN_BY_BROWSERS = /\.(png|jpe?g|webp|gif|bmp|avif)$/i;

export class Work {
  /**
   * @param {object} on `changed(item)` after every step; `explained(item, found)` with the maps, their size, the
   *   novelty, and the keys of the thresholds and gates that they were made with; `asked(always)` and `savedKey()`, see
   *   Thresholds; `offline()`, `online()`, `tokenNeeded()`.
   */
  constructor(on) {
    this._on = on;
    this._waiting = [];
    this._active = 0;
    this._paused = true; // until the run is known
    this._classes = [];
    this._limits = null;
  }

  /** Go on, now that the run is known, with its classes and limits. */
  use({ classes, limits }) {
    this._classes = classes;
    this._limits = limits;
    this._resume();
  }

  add(item) {
    this._waiting.push(item);
    this._next();
  }

  /** Ask for the maps of an item again, of one below its gates if `anyway`; it jumps the queue. */
  again(item, anyway = false) {
    item.asks = { anyway };
    item.status = "waiting";
    this._waiting.unshift(item);
    this._next();
  }

  _resume() {
    this._paused = false;
    this._next();
  }

  _next() {
    while (!this._paused && this._active < AT_ONCE && this._waiting.length) {
      this._run(this._waiting.shift());
    }
  }

  async _run(item) {
    this._active++;
    item.status = "working";
    this._on.changed(item);
    try {
      if (item.file.size > this._limits.bytes - ENVELOPE) {
        throw new Error(`The file has ${megabytes(item.file.size)} MB; the server takes ${megabytes(this._limits.bytes)} MB.`);
      }
      await this._segment(item);
      item.status = "done";
      item.error = "";
    } catch (error) {
      this._failed(item, error);
    }
    this._active--;
    this._on.changed(item);
    this._next();
  }

  async _segment(item) {
    const fields = { mask: "rle", relevance: true, side: SIDE };
    if (await needsPreview(item)) fields.preview = SIDE;
    const asked = this._on.asked(Boolean(item.asks));
    Object.assign(fields, asked.fields, item.asks?.anyway ? { explain_clean: true } : {});
    const { relevance, preview, ...result } = await segment(item.file, item.name, fields);
    item.result = result;
    if (preview) item.preview = `data:image/jpeg;base64,${preview}`;
    const maps = new Map();
    for (const [k, { name }] of this._classes.entries()) {
      if (relevance?.classes[name]) maps.set(k, floats(relevance.classes[name]));
    }
    const size = relevance ? [relevance.height, relevance.width] : null;
    const look = relevance?.novelty ? floats(relevance.novelty) : null;
    const key = asked.own && asked.key !== this._on.savedKey() ? "" : asked.key;
    item.asks = null;
    this._on.explained(item, { maps, size, look, key, gates: asked.gates });
    item.thumbnail ||= await thumbnail(item);
  }

  _failed(item, error) {
    if (error instanceof Busy || error instanceof Offline || error instanceof TokenNeeded) {
      item.status = "waiting";
      this._waiting.unshift(item);
      if (this._paused) return;
      this._paused = true;
      if (error instanceof Busy) setTimeout(() => this._resume(), error.seconds * 1000);
      else if (error instanceof TokenNeeded) this._on.tokenNeeded();
      else this._waitForServer();
      return;
    }
    item.status = "failed";
    item.error = error.message.replace(`${item.name}: `, "The file ");
  }

  async _waitForServer() {
    this._on.offline();
    for (let pause = 500; ; pause = Math.min(pause * 1.5, 5000)) {
      await new Promise((done) => setTimeout(done, pause));
      try {
        await health();
        break;
      } catch {
        continue;
      }
    }
    this._on.online();
    this._resume();
  }
}

/** Can the browser not show the file, or not as the model sees it? PNG of 16 bits would look dark or washed out. */
async function needsPreview({ file, name }) {
  if (!SHOWN_BY_BROWSERS.test(name)) return true;
  const header = new Uint8Array(await file.slice(0, 25).arrayBuffer());
  const isPng = header[0] === 0x89 && header[1] === 0x50;
  return isPng && header[24] === 16;
}

function megabytes(bytes) {
  return (bytes / 2 ** 20).toFixed(1);
}

/** Float32Array of little-endian floats in base64. */
function floats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** A small image for the list, as the address of a blob; empty where the browser cannot show it. */
async function thumbnail(item) {
  try {
    const source = item.preview ? await (await fetch(item.preview)).blob() : item.file;
    const bitmap = await createImageBitmap(source, { resizeHeight: 96, resizeQuality: "medium" });
    const canvas = new OffscreenCanvas(96, 96);
    const factor = Math.max(96 / bitmap.width, 96 / bitmap.height);
    const [width, height] = [bitmap.width * factor, bitmap.height * factor];
    canvas.getContext("2d").drawImage(bitmap, (96 - width) / 2, (96 - height) / 2, width, height);
    bitmap.close();
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 }));
  } catch {
    return "";
  }
}
