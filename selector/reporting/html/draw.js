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
// A table that is wider than its place says so: on a phone no scroll bar is to be seen.
const hint = () => document.querySelectorAll(".scroll").forEach((place) => {
  const text = place.nextElementSibling;
  if (text && text.classList.contains("hint")) text.hidden = place.scrollWidth <= place.clientWidth;
});
hint();
window.addEventListener("resize", hint);
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", hint));
