// Files and folders that are dropped or chosen, as {file, name}.

const PICTURE = /\.(png|jpe?g|jpe|jfif|tiff?|bmp|dib|webp|gif|jp2|j2k|jpx|ppm|pgm|pbm|pnm|avif)$/i;

/** What was chosen in a file dialog. */
export function chosen(files) {
  return fromFolders([...files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
}

/** Show `cover` while something is dragged over the page, and call `add` with what is dropped. */
export function onDrop(cover, add) {
  let entered = 0; // elements of the page that are entered and not left
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    entered++;
    cover.hidden = false;
  });
  document.addEventListener("dragleave", () => { cover.hidden = --entered <= 0; });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    entered = 0;
    cover.hidden = true;
    add(await dropped(event.dataTransfer));
  });
}

/** What was dropped; folders are read with all that is below them. */
async function dropped(transfer) {
  // Both must be asked for before the first await: a drop's data are gone after it.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return chosen(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return fromFolders(found);
}

/** Leave out what lies in folders and is no picture; a file that was named itself stays. */
function fromFolders(found) {
  return found.filter(({ name }) => !name.includes("/") || PICTURE.test(name));
}

async function walk(entry, found) {
  const name = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    const file = await new Promise((done) => entry.file(done, () => done(null)));
    if (file) found.push({ file, name });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
}
