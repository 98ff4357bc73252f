// Replaces parts of the first screen when the server sends them; one that has the focus waits.
export const watchLive = (place) => {
  const waiting = new Map();
  const show = (part) => {
    const element = place.querySelector(`[data-part="${part}"]`);
    if (!element || !waiting.has(part) || element.contains(document.activeElement)) return;
    element.innerHTML = waiting.get(part);
    waiting.delete(part);
  };
  let source;
  const open = () => {
    source = new EventSource(place.dataset.live);
    place.querySelectorAll("[data-part]").forEach(({ dataset }) =>
      source.addEventListener(dataset.part, (event) => {
        waiting.set(dataset.part, event.data);
        show(dataset.part);
      })
    );
  };
  place.addEventListener("focusout", () => setTimeout(() => [...waiting.keys()].forEach(show), 0));
  document.addEventListener("visibilitychange", () => {
    source?.close();
    if (!document.hidden) open();
  });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
};
