// Keeps the parts of the page that are marked `data-live` as the server has them now.
"use strict";
const PAUSE = 5000;

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const old = document.querySelector("main");
  const parts = (root) => [...root.querySelectorAll("[data-live]")];
  const ids = (root) => parts(root).map((part) => part.id).join();
  if (ids(old) !== ids(fresh)) {
    if (!old.contains(document.activeElement)) old.replaceWith(fresh.querySelector("main"));
    return;
  }
  for (const part of parts(old)) {
    const other = fresh.getElementById(part.id);
    // A part in which somebody reads on with the keyboard is left until they have gone on.
    if (part.innerHTML !== other.innerHTML && !part.contains(document.activeElement)) {
      part.replaceWith(other);
    }
  }
}

setInterval(() => refresh().catch(() => undefined), PAUSE);
