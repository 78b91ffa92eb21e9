// The image with a heatmap and its mask over it; zoomed and moved by mouse, touch pad and keyboard.

const STEP = 1.4;
const MOST = 40;

export class Viewer {
  constructor() {
    this._frame = document.getElementById("frame");
    this._layers = document.getElementById("layers");
    this._picture = document.getElementById("picture");
    this._map = document.getElementById("map");
    this._mask = document.getElementById("mask");
    this._look = document.getElementById("look");
    this._note = document.getElementById("map-note");
    this._meaning = ""; // of red and blue
    this._full = 1; // value of a map that is drawn in full colour
    this._colours = [];
    this._address = "";
    this._zoom = 1;
    this._at = [0, 0]; // of the picture's middle from the frame's, in frame pixels
    this._size = [1, 1];
    this._listen();
  }

  /** Take the colours of a run's classes and the scale of its maps, and name the heatmap after what it shows. */
  use({ classes, unit, full_scale }) {
    this._colours = classes.map(({ colour }) => colour);
    this._full = full_scale;
    const chances = unit === "probability";
    document.getElementById("map-name").textContent = chances ? "Probability" : "Relevance";
    this._meaning = chances ? "the redder a pixel, the more probably it shows the class." : "the redder a pixel, the more its relevance and that of pixels alike speak for the class.";
  }

  /** Show a picture: `source` is a file or an address, `size` its width and height. */
  show(source, size, name) {
    if (this._address) URL.revokeObjectURL(this._address);
    this._address = typeof source === "string" ? "" : URL.createObjectURL(source);
    this._picture.hidden = false;
    this._picture.src = this._address || source;
    this._picture.alt = name;
    this._size = size;
    this.fit();
  }

  /** Width and height of the picture. */
  set size(size) {
    if (size[0] === this._size[0] && size[1] === this._size[1]) return;
    this._size = size;
    this._place();
  }

  /** Draw the map of a class, red above 0 and blue below; null draws none. */
  drawMap(map, [height, width], name) {
    this._map.hidden = this._note.hidden = !map;
    if (!map) return;
    this._note.textContent = `Heatmap of ${name}: ${this._meaning}`;
    const pixels = resized(this._map, width, height);
    for (let i = 0; i < map.length; i++) {
      const strength = Math.min(Math.abs(map[i]) / this._full, 1) ** 0.7;
      const [red, green, blue] = map[i] > 0 ? [235, 40, 45] : [40, 110, 230];
      pixels.data.set([red, green, blue, 255 * strength], 4 * i);
    }
    this._map.getContext("2d").putImageData(pixels, 0, 0);
  }

  /**
   * Draw in yellow where the classifier looks first; null draws none. It weighs places by the exponential of their
   * novelty, so they are drawn by their weight beside the one that weighs most.
   */
  drawLook(look, [height, width]) {
    this._look.hidden = !look;
    if (!look) return;
    const pixels = resized(this._look, width, height);
    const most = look.reduce((highest, value) => Math.max(highest, value), -Infinity);
    for (let i = 0; i < look.length; i++) {
      pixels.data.set([250, 190, 20, 255 * Math.exp(look[i] - most)], 4 * i);
    }
    this._look.getContext("2d").putImageData(pixels, 0, 0);
  }

  /** Draw a mask in the colours of its classes, with a thin border; null draws none. */
  drawMask(mask, [height, width]) {
    this._mask.hidden = !mask;
    if (!mask) return;
    const fine = Math.max(1, Math.floor(1200 / Math.max(width, height))); // pixels of the canvas a pixel of the mask
    const pixels = resized(this._mask, width * fine, height * fine);
    const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : mask[y * width + x]);
    for (let i = 0; i < mask.length; i++) {
      const value = mask[i];
      if (!value) continue;
      const x = i % width;
      const y = (i - x) / width;
      const edges = [at(x - 1, y), at(x + 1, y), at(x, y - 1), at(x, y + 1)].map((other) => other !== value);
      const colour = this._colours[value - 1];
      const border = Math.min(2, fine);
      for (let v = 0; v < fine; v++) {
        for (let u = 0; u < fine; u++) {
          const edge =
            (edges[0] && u < border) || (edges[1] && u >= fine - border) ||
            (edges[2] && v < border) || (edges[3] && v >= fine - border);
          const place = 4 * ((y * fine + v) * width * fine + x * fine + u);
          pixels.data[place] = colour[0];
          pixels.data[place + 1] = colour[1];
          pixels.data[place + 2] = colour[2];
          pixels.data[place + 3] = edge ? 255 : 56;
        }
      }
    }
    this._mask.getContext("2d").putImageData(pixels, 0, 0);
  }

  set opacity(share) {
    this._map.style.opacity = this._look.style.opacity = share;
  }

  set shows({ mask, map, look }) {
    this._look.classList.toggle("off", !look);
    this._mask.classList.toggle("off", !mask);
    this._map.classList.toggle("off", !map);
  }

  fit() {
    this._zoom = 1;
    this._at = [0, 0];
    this._place();
  }

  /** Zoom by a factor around a point of the frame, from its middle. */
  zoom(factor, [x, y] = [0, 0]) {
    const zoom = Math.min(Math.max(this._zoom * factor, 1), MOST);
    const real = zoom / this._zoom;
    this._at = [x - (x - this._at[0]) * real, y - (y - this._at[1]) * real];
    this._zoom = zoom;
    this._place();
  }

  pan(x, y) {
    this._at = [this._at[0] + x, this._at[1] + y];
    this._place();
  }

  key(event) {
    const pans = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (pans[event.key] && document.activeElement === this._frame) this.pan(...pans[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.fit();
    else return false;
    return true;
  }

  _place() {
    const { clientWidth, clientHeight } = this._frame;
    const [width, height] = this._size;
    const scale = Math.min((clientWidth - 24) / width, (clientHeight - 24) / height) * this._zoom;
    const [w, h] = [width * scale, height * scale];
    // A part of the picture always stays in sight.
    const most = [(w + clientWidth) / 2 - 60, (h + clientHeight) / 2 - 60];
    this._at = this._at.map((at, axis) => Math.min(Math.max(at, -most[axis]), most[axis]));
    Object.assign(this._layers.style, {
      width: `${w}px`,
      height: `${h}px`,
      left: `${(clientWidth - w) / 2 + this._at[0]}px`,
      top: `${(clientHeight - h) / 2 + this._at[1]}px`,
    });
    this._layers.classList.toggle("pixels", scale > 3);
  }

  _listen() {
    this._picture.addEventListener("error", () => { this._picture.hidden = true; });
    new ResizeObserver(() => this._place()).observe(this._frame);
    this._frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), this._point(event));
    }, { passive: false });
    this._frame.addEventListener("dblclick", (event) => this.zoom(STEP * STEP, this._point(event)));
    let from = null;
    this._frame.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      from = [event.clientX, event.clientY];
      this._frame.setPointerCapture(event.pointerId);
    });
    this._frame.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.pan(event.clientX - from[0], event.clientY - from[1]);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) this._frame.addEventListener(end, () => { from = null; });
    document.getElementById("zoom-in").addEventListener("click", () => this.zoom(STEP));
    document.getElementById("zoom-out").addEventListener("click", () => this.zoom(1 / STEP));
    document.getElementById("zoom-fit").addEventListener("click", () => this.fit());
  }

  _point(event) {
    const box = this._frame.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  }
}

/** The canvas in a new size, empty, and its pixels. */
function resized(canvas, width, height) {
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d").createImageData(width, height);
}
