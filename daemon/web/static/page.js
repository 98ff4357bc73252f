// Begins what the screens need: live parts, the review, and before and after.
import { watchLive } from "./live.js";
import { beginCompare } from "./compare.js";
import { beginReview } from "./review.js";
import { fitFrames } from "./frames.js";

const begin = (root) => {
  root.querySelectorAll("[data-compare]").forEach(beginCompare);
  fitFrames(root);
};

begin(document);
beginReview();
document.querySelectorAll("[data-live]").forEach(watchLive);
document.addEventListener("htmx:load", (event) => begin(event.detail.elt.parentElement ?? document));

// What was said goes away after a while; a screen reader has read it then.
let timer;
new MutationObserver(() => {
  const said = document.getElementById("said");
  if (!said || !said.textContent || said.classList.contains("past")) return;
  clearTimeout(timer);
  timer = setTimeout(() => said.classList.add("past"), 5000);
}).observe(document.body, { childList: true, subtree: true, characterData: true });
