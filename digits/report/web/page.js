// What happens when the page is opened.

await showImages();
const weights = document.getElementById("weights");
if (weights) {
  const recogniser = readRecogniser(await inflate(weights.textContent));
  letDraw(recogniser);
  // For whoever wants to try it from the console.
  Object.assign(globalThis, {
    answer: (pixels) => answer(recogniser, pixels),
    classify: (pixels) => classify(recogniser, pixels),
    isFamiliar: (pixels) => isFamiliar(recogniser, pixels),
  });
}
// How long that took, in milliseconds.
document.documentElement.dataset.ready = performance.now().toFixed();
