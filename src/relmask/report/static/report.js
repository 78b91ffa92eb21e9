// The sliders of galleries. Without this script the views of an image lie beside each other.

for (const gallery of document.querySelectorAll(".gallery")) {
  const tools = gallery.querySelector(".tools");
  const range = tools.querySelector("input[type=range]");
  const aside = tools.querySelector("input[type=checkbox]");
  const stops = [...tools.querySelectorAll("button")];
  const show = () => {
    const at = Number(range.value);
    const low = Math.floor(at), high = Math.ceil(at);
    for (const view of gallery.querySelectorAll(".view"))
      view.style.opacity = Math.min(1, Math.max(0, at - view.dataset.stop + 1));
    gallery.classList.toggle("stacked", !aside.checked);
    range.disabled = aside.checked;
    const names = stops.map(stop => stop.textContent);
    range.setAttribute("aria-valuetext",
      low === high ? names[low] : `between ${names[low]} and ${names[high]}`);
    stops.forEach((stop, index) => {
      stop.disabled = aside.checked;
      stop.setAttribute("aria-pressed", String(!aside.checked && Math.round(at) === index));
    });
  };
  range.addEventListener("input", show);
  aside.addEventListener("change", show);
  stops.forEach((stop, index) => stop.addEventListener("click", () => { range.value = index; show(); }));
  range.value = Math.min(1, stops.length - 1);
  tools.hidden = false;
  show();
}
