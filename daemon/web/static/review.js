// The review: photos opened one after the other, keys, and many selected at once.
const grid = () => document.getElementById("grid");
const viewer = () => document.getElementById("viewer");
const cards = () => [...(grid()?.querySelectorAll(".card") ?? [])];
const compare = () => {
  const places = [...document.querySelectorAll("[data-compare]")].filter((place) => place.offsetParent !== null || place.closest("dialog[open]"));
  return places.at(-1)?.compare;
};

let current = null; // the photo that was opened last
let focused = null; // the photo whose card has the focus

const openCard = (card) => {
  current = card.dataset.job;
  const source = card.querySelector("[data-open]").dataset.open;
  htmx.ajax("GET", source, { target: "#viewer-body", swap: "innerHTML" });
  if (!viewer().open) viewer().showModal();
};

const cardOf = (job) => document.getElementById(`card-${job}`);

const go = async (step) => {
  const all = cards();
  const at = all.indexOf(cardOf(current));
  if (at + step >= all.length - 3) document.querySelector("#more a")?.click();
  if (all[at + step]) openCard(all[at + step]);
};

const move = (step) => {
  const all = cards();
  const at = all.findIndex((card) => card.contains(document.activeElement));
  const next = all[at < 0 ? 0 : at + step];
  next?.querySelector(".shot").focus();
  next?.scrollIntoView({ block: "nearest" });
};

const press = (key) => {
  const opened = viewer()?.open ? viewer() : document.querySelector(".photo");
  if (opened) {
    const button = opened.querySelector(`[data-key="${key}"]`);
    if (button) htmx.process(button); // it may have come a moment ago
    return button?.click();
  }
  const card = document.activeElement?.closest?.(".card");
  const words = { k: "keep", r: "reject", u: "undo", m: "mend" };
  if (!card || !words[key]) return undefined;
  return htmx.ajax("POST", `${document.body.dataset.root}/act`, {
    values: { ids: card.dataset.job, do: words[key] }, swap: "none", source: document.body,
  });
};

const closeViewer = () => {
  viewer().close();
  document.getElementById("viewer-body").replaceChildren();
  cardOf(current)?.querySelector(".shot").focus();
};

// An answer replaces cards; the one that had the focus gets it back.
const keepFocus = () => {
  if (document.activeElement === document.body && !viewer().open) cardOf(focused)?.querySelector(".shot").focus();
};

const count = () => {
  const chosen = cards().filter((card) => card.querySelector("input:checked"));
  cards().forEach((card) => card.classList.toggle("chosen", chosen.includes(card)));
  const bulk = document.getElementById("bulk");
  if (!bulk) return;
  bulk.hidden = chosen.length === 0;
  document.getElementById("bulk-count").textContent = chosen.length;
};

const isTyping = (element) => element?.matches?.("input:not([type=checkbox]), select, textarea");

const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const open = viewer()?.open;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const actions = {
    k: () => press("k"), r: () => press("r"), u: () => press("u"), m: () => press("m"),
    o: () => compare()?.hold(), w: () => compare()?.toggle(),
    "+": () => compare()?.zoomIn(), "-": () => compare()?.zoomOut(), 0: () => compare()?.reset(),
    x: () => document.activeElement?.closest?.(".card")?.querySelector("input").click(),
  };
  if (step && (open || grid())) open ? go(step) : move(step);
  else if (actions[event.key] && !event.repeat) actions[event.key]();
  else if (!actions[event.key]) return;
  event.preventDefault();
};

export const beginReview = () => {
  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", (event) => event.key === "o" && compare()?.release());
  addEventListener("blur", () => compare()?.release());
  if (!viewer()) return;
  document.addEventListener("click", (event) => {
    const shot = event.target.closest?.(".shot");
    if (shot && grid()?.contains(shot) && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      openCard(shot.closest(".card"));
    }
    const way = event.target.closest?.("[data-go]")?.dataset.go;
    if (way === "close") closeViewer();
    else if (way) go(way === "next" ? 1 : -1);
    if (event.target.id === "bulk-none") {
      cards().forEach((card) => { card.querySelector("input").checked = false; });
      count();
    }
  });
  viewer().addEventListener("cancel", closeViewer); // the next key may come before "close"
  viewer().addEventListener("close", closeViewer);
  document.addEventListener("change", (event) => event.target.closest?.(".pick") && count());
  document.addEventListener("htmx:afterSettle", count);
  document.addEventListener("focusin", (event) => { focused = event.target.closest?.(".card")?.dataset.job ?? null; });
  document.addEventListener("htmx:oobAfterSwap", () => { count(); keepFocus(); });
};
