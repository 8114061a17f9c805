// What happens when the page is opened.

await showImages();
const weights = document.getElementById("weights");
if (weights) {
  const networks = readNetworks(fromBase64(weights.textContent));
  letDraw(networks);
  // For whoever wants to try it from the console.
  globalThis.classify = (pixels) => classify(networks, pixels);
}
// How long that took, in milliseconds.
document.documentElement.dataset.ready = performance.now().toFixed();
