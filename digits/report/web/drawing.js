// A place to draw. Strokes become an image as MNIST's did (LeCun et al. 1998, "Gradient-based
// learning applied to document recognition", section III-A): scaled to fit a box of 20 x 20 pixels
// as they are, and placed so that their centre of mass is the middle of 28 x 28.

const BOX = 20 / 28; // of the side of an image
const PEN = 2.4 / 28;
const FINE = 10; // parts of a pixel's side, over which its grey is averaged
const EXAMPLE = [[[60, 75], [95, 45], [150, 40], [190, 65], [195, 100], [160, 128], [115, 135], [165, 145], [205, 175], [200, 215], [155, 245], [95, 240], [55, 210]]];

function box(strokes) {
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

function trace(context, strokes, width) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    // A point alone is drawn as a dot.
    for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...point);
    context.stroke();
  }
}

// Returns the ink of strokes, from 0 to 255, on a square whose side is `side` pixels.
function ink(strokes, side, width) {
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
  trace(context, strokes, width);
  return new Uint32Array(context.getImageData(0, 0, side, side).data.buffer).map((pixel) => pixel >>> 24);
}

function centreOfMass(values, side) {
  let [sum, across, down] = [0, 0, 0];
  values.forEach((value, place) => {
    sum += value;
    across += value * ((place % side) + 0.5);
    down += value * (Math.floor(place / side) + 0.5);
  });
  return [across / sum, down / sum];
}

// Returns the pixels of strokes, from 0, the background, to 255, for an image of `side` pixels.
function pixelsOf(strokes, side) {
  const fine = side * FINE;
  const width = PEN * fine;
  const { left, right, top, bottom } = box(strokes);
  const scale = (BOX * fine - width) / Math.max(right - left, bottom - top, 1);
  const fitted = strokes.map((stroke) => stroke.map(([x, y]) => [
    (x - (left + right) / 2) * scale + fine / 2, (y - (top + bottom) / 2) * scale + fine / 2,
  ]));
  const [across, down] = centreOfMass(ink(fitted, fine, width), fine);
  const centred = fitted.map((stroke) => stroke.map(([x, y]) => [x + fine / 2 - across, y + fine / 2 - down]));
  const values = ink(centred, fine, width);
  return Uint8Array.from({ length: side * side }, (_, pixel) => {
    let sum = 0;
    const start = Math.floor(pixel / side) * FINE * fine + (pixel % side) * FINE;
    for (let row = 0; row < FINE; row += 1) for (let column = 0; column < FINE; column += 1) sum += values[start + row * fine + column];
    return Math.round(sum / (FINE * FINE));
  });
}

function paint(canvas, pixels) {
  const image = new ImageData(data.side, data.side);
  pixels.forEach((pixel, place) => image.data.set([pixel, pixel, pixel, 255], 4 * place));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Shows the probability of each class, or none, and whether it is an image of a familiar kind.
function showAnswers(shares, familiar) {
  const best = shares.indexOf(Math.max(...shares));
  document.getElementById("answer").textContent = shares.length
    ? `That is ${data.names[best]} (${percent(shares[best])}).${familiar ? "" : " But it looks like nothing that it was trained on."}` : "Draw something, or take the example.";
  [...document.getElementById("answers").children].forEach(({ children: [, bar, said] }, label) => {
    bar.style.setProperty("--share", shares[label] ?? 0);
    said.textContent = shares.length ? percent(shares[label]) : "";
  });
}

function letDraw(recogniser) {
  const paper = document.getElementById("paper");
  const seen = document.getElementById("seen");
  let strokes = [];
  let stroke = null; // the one that is being drawn
  const show = () => {
    const context = paper.getContext("2d");
    context.clearRect(0, 0, paper.width, paper.height);
    trace(context, strokes, PEN * paper.width * 1.4);
    const pixels = strokes.length ? pixelsOf(strokes, data.side) : new Uint8Array(data.side * data.side);
    paint(seen, prepare(recogniser, pixels));
    showAnswers(strokes.length ? classify(recogniser, pixels) : [], isFamiliar(recogniser, pixels));
  };
  const place = (event) => {
    const { left, top, width } = paper.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top].map((at) => (at * paper.width) / width);
  };
  paper.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    paper.setPointerCapture(event.pointerId);
    stroke = [place(event)];
    strokes.push(stroke);
    show();
  });
  paper.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary) return;
    stroke.push(place(event));
    show();
  });
  paper.addEventListener("lostpointercapture", () => { stroke = null; });
  const replace = (others) => () => { [strokes, stroke] = [structuredClone(others), null]; show(); };
  document.getElementById("example").addEventListener("click", replace(EXAMPLE));
  document.getElementById("clear").addEventListener("click", replace([]));
  show();
}
