// The network, as PyTorch computes it: a multilayer perceptron with ReLU, or the mean of several.

// Returns the bytes; what browsers bring since 2025 takes a tenth of the time.
function fromBase64(text) {
  return Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// Reads the networks of a safetensors file: a length, a header in JSON, and the numbers.
function readNetworks(bytes) {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { widths, networks } = JSON.parse(header.__metadata__.architecture);
  const tensor = (name) => {
    const [from, to] = header[name].data_offsets;
    return new Float32Array(bytes.buffer.slice(8 + length + from, 8 + length + to));
  };
  return Array.from({ length: networks }, (_, network) => (
    widths.slice(1).map((_width, layer) => ({
      weights: tensor(`networks.${network}.layers.${layer}.weight`),
      bias: tensor(`networks.${network}.layers.${layer}.bias`),
    }))
  ));
}

function multiply({ weights, bias }, inputs) {
  return Array.from(bias, (start, output) => {
    let sum = start;
    const row = output * inputs.length;
    for (let input = 0; input < inputs.length; input += 1) sum += weights[row + input] * inputs[input];
    return sum;
  });
}

function logitsOf(layers, inputs) {
  let values = inputs;
  for (const layer of layers.slice(0, -1)) values = multiply(layer, values).map((value) => Math.max(value, 0));
  return multiply(layers.at(-1), values);
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

// Returns where the views of an image take their pixels from, off its centre: two rows of an affine map each.
function viewMaps({ rotation, scale, shear, shift }) {
  const moves = [[rotation, 0, 0, 0, 0], [0, shear, 0, 0, 0], [0, 0, scale, 0, 0], [0, 0, 0, shift, 0], [0, 0, 0, 0, shift]];
  const both = moves.filter((move) => move.some(Boolean)).flatMap((move) => [move, move.map((one) => -one)]);
  const maps = [[0, 0, 0, 0, 0], ...both].map(([turn, slant, more, right, lower]) => {
    const [sin, cos, size] = [Math.sin((turn * Math.PI) / 180), Math.cos((turn * Math.PI) / 180), 1 + more];
    return [[cos * size, (cos * slant - sin) * size, right], [sin * size, (sin * slant + cos) * size, lower]];
  });
  // Rounded to 13 bits of the largest.
  const unit = 2 ** (Math.floor(Math.log2(Math.max(...maps.flat(2).map(Math.abs)))) - 12);
  return maps.map((map) => map.map((line) => line.map((factor) => round(factor / unit) * unit)));
}

// Returns the nearest whole number, and of two the even one, as IEEE 754 does it.
function round(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

// Returns an image with its pixels from other places, interpolated between four; its edges are stretched.
function view(inputs, side, map) {
  const middle = (side - 1) / 2;
  return inputs.map((_, pixel) => {
    const off = [(pixel % side) - middle, Math.floor(pixel / side) - middle, 1];
    const [x, y] = map.map((line) => {
      const place = line.reduce((sum, factor, axis) => sum + factor * off[axis], 0);
      return round(Math.min(Math.max(place, -side / 2), side / 2) * 256) / 256 + middle;
    });
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const at = (row, column) => inputs[inside(row, side) * side + inside(column, side)];
    const along = (row) => at(row, left) * (1 - x + left) + at(row, left + 1) * (x - left);
    return along(top) * (1 - y + top) + along(top + 1) * (y - top);
  });
}

function mean(vectors) {
  return vectors[0].map((_, place) => vectors.reduce((sum, vector) => sum + vector[place], 0) / vectors.length);
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

// Returns the probability of each class for an image: pixels from 0, the background, to 255.
function classify(networks, pixels) {
  const inputs = Array.from(prepare(pixels), (pixel) => Math.fround((pixel - data.mean) / data.std));
  const views = viewMaps(data.views).map((map) => view(inputs, data.side, map));
  return softmax(mean(views.map((seen) => mean(networks.map((layers) => logitsOf(layers, seen))))));
}

// Returns what the network is shown of an image.
function prepare(pixels) {
  return data.straightened ? straighten(pixels, data.side) : pixels;
}
