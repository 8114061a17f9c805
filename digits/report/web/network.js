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

// Returns an image as it is and moved in every way by up to `shift` pixels; its edges are stretched.
function shifted(inputs, side, shift) {
  const inside = (place) => Math.min(Math.max(place, 0), side - 1);
  const steps = Array.from({ length: 2 * shift + 1 }, (_, step) => step - shift);
  return steps.flatMap((down) => steps.map((across) => inputs.map((_, pixel) => {
    const row = inside(Math.floor(pixel / side) + down);
    return inputs[row * side + inside((pixel % side) + across)];
  })));
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
  const inputs = Array.from(pixels, (pixel) => Math.fround((pixel - data.mean) / data.std));
  const views = shifted(inputs, data.side, data.shift);
  return softmax(mean(views.map((view) => mean(networks.map((layers) => logitsOf(layers, view))))));
}
