// The images, and the galleries that show them.

const data = JSON.parse(document.getElementById("data").textContent);
const sprite = document.getElementById("images");

// Returns an element with properties and children; text is always text, never markup.
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

// Says where an image stands: as pandas counts rows, and as editors count lines.
function placeOf(row) {
  return `row index ${row} (line ${row + data.first_line} of ${data.file})`;
}

function draw(canvas, index) {
  const across = sprite.naturalWidth / data.side;
  const left = (index % across) * data.side;
  const top = Math.floor(index / across) * data.side;
  canvas.getContext("2d").drawImage(sprite, left, top, data.side, data.side, 0, 0, data.side, data.side);
}

function picture(index, words) {
  const canvas = element("canvas", { className: "digit", width: data.side, height: data.side });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  draw(canvas, index);
  return canvas;
}

// Returns a small bar for each of the likeliest classes.
function bars({ shares, predicted, actual }) {
  const chart = element("div", { className: "bars" });
  const likeliest = [...shares].sort(([, one], [, other]) => other - one).slice(0, 3);
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", likeliest.map(([label, share]) => `${data.names[label]}: ${percent(share)}`).join(", "));
  for (const [label, share] of shares) {
    const bar = element("i");
    bar.style.setProperty("--share", share);
    const column = element("span", { title: `${data.names[label]}: ${percent(share)}` }, bar, data.names[label]);
    column.classList.toggle("predicted", label === predicted);
    column.classList.toggle("actual", label === actual);
    chart.append(column);
  }
  return chart;
}

// Returns the card of a validation image.
function card(image) {
  const [predicted, actual] = [data.names[image.predicted], data.names[image.actual]];
  const right = image.predicted === image.actual;
  const words = element("figcaption", {}, element("span", { className: right ? "right" : "wrong" }, `predicted ${predicted}`));
  words.append(element("span", {}, `actual ${actual}`));
  if (image.doubt !== undefined) {
    words.append(element("span", { className: "doubt" }, `label in doubt: ${data.names[image.doubt]}?`));
  }
  words.append(element("span", { className: "row" }, placeOf(image.row)));
  const shown = picture(image.index, `${placeOf(image.row)}, actual ${actual}`);
  return element("figure", {}, shown, words, bars(image));
}

// Returns the card of an image whose label is in doubt.
function suspectCard(suspect) {
  const [given, suggested] = [data.names[suspect.given], data.names[suspect.suggested]];
  const words = element("figcaption", {}, element("span", {}, `label ${given} (${percent(suspect.shares[0])})`));
  words.append(element("span", { className: "doubt" }, `rather ${suggested} (${percent(suspect.shares[1])})`));
  words.append(element("span", { className: "row" }, `${placeOf(suspect.row)}, ${suspect.part}`));
  return element("figure", {}, picture(suspect.index, `${placeOf(suspect.row)}, labelled ${given}`), words);
}

// Fills a gallery; where there are many images, the others come when they are asked for.
function fill(id, images, make = card) {
  const gallery = document.getElementById(`${id}-gallery`);
  gallery.replaceChildren(...images.slice(0, data.first_shown).map(make));
  if (images.length <= data.first_shown) return;
  const more = element("button", { type: "button", className: "more" }, `Show all ${images.length}`);
  more.addEventListener("click", () => {
    const rest = images.slice(data.first_shown).map(make);
    more.replaceWith(...rest);
    rest[0].tabIndex = -1;
    rest[0].focus();
  });
  gallery.append(more);
}

// Lets each cell show the images that it counts. They are one stop of the Tab key, and arrow keys move
// between them, as in the grid of the ARIA Authoring Practices.
function showCells() {
  const cells = [...document.querySelectorAll(".matrix button")];
  const across = data.names.length;
  const moves = {
    ArrowLeft: (at) => (at % across ? at - 1 : at),
    ArrowRight: (at) => ((at + 1) % across ? at + 1 : at),
    ArrowUp: (at) => at - across,
    ArrowDown: (at) => at + across,
    Home: (at, all) => (all ? 0 : at - (at % across)),
    End: (at, all) => (all ? cells.length : at - (at % across) + across) - 1,
  };
  const move = (event) => {
    const cell = cells[moves[event.key]?.(cells.indexOf(event.target), event.ctrlKey)];
    if (!cell) return;
    event.preventDefault();
    cell.focus();
  };
  const show = (chosen) => {
    const [predicted, actual] = [Number(chosen.dataset.predicted), Number(chosen.dataset.actual)];
    const found = data.images.filter((image) => image.predicted === predicted && image.actual === actual);
    for (const cell of cells) cell.setAttribute("aria-pressed", cell === chosen);
    const images = chosen.textContent === "1" ? "image" : "images";
    const held = found.length < Number(chosen.textContent) ? ` (the hardest ${found.length} are in this page)` : "";
    const caption = document.getElementById("cell-count");
    caption.value = `${chosen.getAttribute("aria-label")} ${images}${held}`;
    fill("cell", found);
    caption.scrollIntoView({ block: "center" });
  };
  for (const cell of cells) {
    cell.addEventListener("click", () => show(cell));
    cell.addEventListener("keydown", move);
    cell.addEventListener("focus", () => { for (const one of cells) one.tabIndex = one === cell ? 0 : -1; });
  }
}

// Gives the numbers of the data their names, and images the doubt about their label.
function unpack() {
  const doubts = new Map(data.suspects.map(([index, , suggested]) => [index, suggested]));
  data.images = data.images.map(([actual, predicted, row, pairs], index) => {
    const shares = pairs.map(([label, thousandths]) => [label, thousandths / 1000]);
    return { index, actual, predicted, row, shares, doubt: doubts.get(index) };
  });
  data.suspects = data.suspects.map(([index, given, suggested, row, part, ...thousandths]) => (
    { index, given, suggested, row, part, shares: thousandths.map((share) => share / 1000) }
  ));
}

async function showImages() {
  await sprite.decode();
  unpack();
  showCells();
  fill("wrong", data.images.filter((image) => image.predicted !== image.actual));
  fill("labels", data.suspects, suspectCard);
  fill("hard", data.hard.map((index) => data.images[index]));
}
