// The network, to the last bit as digits/network/ computes it: float32 is in Float32Array or comes
// from Math.fround, and sums are of whole numbers that float64 holds.

// Returns what digits/report/page.py packed as the one line of a PNG. On a canvas, browsers that hide whose
// they are change a few bits.
async function inflate(text) {
  const png = await (await fetch(`data:;base64,${text}`)).arrayBuffer();
  const [numbers, parts] = [new DataView(png), []];
  for (let at = 8; at < png.byteLength; at += 12 + numbers.getUint32(at)) {
    if (numbers.getUint32(at + 4) === 0x49444154) parts.push(new Uint8Array(png, at + 8, numbers.getUint32(at))); // IDAT
  }
  const inflated = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return (await new Response(inflated).arrayBuffer()).slice(1); // but for the line's filter, none
}

// Reads what digits/recogniser.py encodes, a safetensors file: a length, a header in JSON, and the numbers.
function readRecogniser(bytes) {
  const length = Number(new DataView(bytes).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
  const description = JSON.parse(header.__metadata__.description);
  const tensor = (name, Kind = Float32Array) => {
    const [from, to] = header[name].data_offsets;
    return new Kind(bytes.slice(8 + length + from, 8 + length + to));
  };
  const networks = Array.from({ length: description.networks }, (_, network) => (
    description.widths.slice(1).map((_width, number) => {
      const name = `networks.${network}.layers.${number}`;
      return { weights: tensor(`${name}.weight`, Int8Array), units: tensor(`${name}.unit`), bias: tensor(`${name}.bias`) };
    })
  ));
  const [means, precisions] = [tensor("novelty.mean", Uint8Array), tensor("novelty.precision", Uint16Array)];
  const novelty = { means, precisions, limit: Number(tensor("novelty.limit", BigInt64Array)[0]) };
  return { ...description.statistics, temperature: description.temperature, networks, novelty };
}

// Returns the nearest whole number, and of two the even one, as IEEE 754 does it.
function round(value) {
  return value + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
}

const double = new Float64Array(1);
const bitsOfDouble = new BigInt64Array(double.buffer);

// Returns values as whole multiples of a power of two, at most 2 ** bits.
function quantise(values, bits) {
  double[0] = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  bitsOfDouble[0] &= 0x7ffn << 52n; // without its mantissa
  const unit = Math.max(double[0], 2 ** -50) / 2 ** (bits - 1);
  return { whole: Float64Array.from(values, (value) => round(value / unit)), unit };
}

function multiply({ weights, units, bias }, { whole, unit }) {
  return bias.map((start, output) => {
    let sum = 0;
    const row = output * whole.length;
    for (let input = 0; input < whole.length; input += 1) sum += weights[row + input] * whole[input];
    return Math.fround(sum * unit * units[output]) + start;
  });
}

function logitsOf([first, ...others], image) {
  return others.reduce(
    (values, layer) => multiply(layer, quantise(values.map((value) => Math.max(value, 0)), 6)),
    multiply(first, quantise(image, 8)),
  );
}

// Returns pixels without slant, as digits/data/straightening.py does it.
function straighten(pixels, side) {
  const [row, column] = [(place) => Math.floor(place / side), (place) => place % side];
  const sum = (weigh) => pixels.reduce((total, pixel, place) => total + pixel * weigh(row(place), column(place)), 0);
  const ink = Math.max(sum(() => 1), 1);
  const [y, x] = [sum((down) => down) / ink, sum((_, across) => across) / ink];
  const variance = sum((down) => down * down) / ink - y * y;
  const covariance = sum((down, across) => down * across) / ink - y * x;
  const slant = variance > 0 ? Math.min(Math.max(covariance / variance, -1), 1) : 0;
  return pixels.map((_, place) => {
    const moved = Math.floor(slant * (row(place) - y) * 256 + 0.5);
    const at = (start) => pixels[row(place) * side + inside(start, side)];
    const start = column(place) + (moved >> 8);
    return (at(start) * (256 - (moved & 255)) + at(start + 1) * (moved & 255) + 128) >> 8;
  });
}

function inside(place, side) {
  return Math.min(Math.max(place, 0), side - 1);
}

// Returns an image with its pixels from other places, interpolated between four; its edges are stretched.
function view({ whole, unit }, side, map) {
  const middle = (side - 1) / 2;
  return Float32Array.from(whole, (_, pixel) => {
    const off = [(pixel % side) - middle, Math.floor(pixel / side) - middle, 1];
    const [x, y] = map.map((line) => {
      const place = line.reduce((sum, factor, axis) => sum + factor * off[axis], 0);
      return round(Math.min(Math.max(place, -side / 2), side / 2) * 256) / 256 + middle;
    });
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const at = (row, column) => whole[inside(row, side) * side + inside(column, side)];
    const along = (row) => at(row, left) * (1 - x + left) + at(row, left + 1) * (x - left);
    return (along(top) * (1 - y + top) + along(top + 1) * (y - top)) * unit;
  });
}

function mean(vectors) {
  const sums = vectors.reduce((sum, vector) => sum.map((one, place) => one + vector[place]));
  return sums.map((sum) => sum / vectors.length);
}

// Returns e ** x, of x from -700 to 0, as digits/exact.py does it.
function exp(value) {
  const exponent = round(value * 1.4426950408889634);
  const rest = value - exponent * 0.6931471803691238 - exponent * 1.9082149292705877e-10;
  const factorials = [1];
  for (let degree = 1; degree <= 13; degree += 1) factorials.push(degree * factorials[degree - 1]);
  bitsOfDouble[0] = BigInt(exponent + 1023) << 52n; // 2 ** exponent
  return factorials.reduceRight((power, factorial) => power * rest + 1 / factorial, 0) * double[0];
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (logit) => exp(Math.max(logit - most, -700)));
  // Rounded to 2 ** -40, they have the same sum in any order.
  const sum = powers.reduce((total, power) => total + (power + 6144 - 6144), 0);
  return powers.map((power) => power / sum);
}

// Returns the logit of each class for an image: pixels from 0, the background, to 255.
function answer(recogniser, pixels) {
  const { mean: paper, std, networks } = recogniser;
  const image = Float32Array.from(prepare(recogniser, pixels), (pixel) => (pixel - paper) / std);
  const views = data.maps.map((map) => view(quantise(image, 8), data.side, map));
  return mean([image, ...views].map((seen) => mean(networks.map((layers) => logitsOf(layers, seen)))));
}

// Returns the calibrated probability of each class for an image.
function classify(recogniser, pixels) {
  return softmax(Array.from(answer(recogniser, pixels), (logit) => logit / recogniser.temperature));
}

// Returns whether an image looks like those that the network was trained on, as digits/novelty.py does it.
function isFamiliar(recogniser, pixels) {
  const [seen, { means, precisions, limit }] = [prepare(recogniser, pixels), recogniser.novelty];
  const distances = data.names.map((_name, label) => seen.reduce((sum, pixel, place) => {
    const at = label * seen.length + place;
    return sum + precisions[at] * (pixel - means[at]) ** 2;
  }, 0));
  return Math.min(...distances) <= limit && seen.some(Boolean);
}

// Returns what the network is shown of an image.
function prepare({ straightened }, pixels) {
  return straightened ? straighten(pixels, data.side) : pixels;
}
