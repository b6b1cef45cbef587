"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
// The tool bar styles itself inline, which the policy of this page forbids; a double click resets.
const options = { responsive: true, displayModeBar: false };
const draw = (place) => {
  const figure = figures[place.dataset.figure];
  Plotly.newPlot(place, figure.data, figure.layout, options);
};
// A figure is drawn when it comes near: a report of a thousand trials opens at once.
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }
}, { rootMargin: "600px" });
const places = document.querySelectorAll("[data-figure]");
places.forEach((place) => watcher.observe(place));
window.addEventListener("beforeprint", () => places.forEach((place) => {
  watcher.unobserve(place);
  if (!place.classList.contains("js-plotly-plot")) draw(place);
}));
