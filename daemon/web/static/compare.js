// Before and after: a slider, one zoom for both sides, and the original while a key is held.
import Panzoom from "./vendor/panzoom.es.js";

const MOST_ZOOM = 8;
const STEP = 1.5;

class Stage {
  constructor(element) {
    this.element = element;
    this.slider = element.querySelector("img-comparison-slider");
    [this.first, this.second] = this.slider.querySelectorAll("img");
    this.zoom = Panzoom(this.first, {
      noBind: true, maxScale: MOST_ZOOM, minScale: 1, contain: "outside", cursor: "inherit", touchAction: "",
      overflow: "hidden", step: Math.log(STEP),
    });
    this.second.style.transformOrigin = this.first.style.transformOrigin;
    this.first.addEventListener("panzoomchange", () => this.follow());
    this.pointers = new Set();
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.pointers.has(event.pointerId) && this.zoom.handleMove(event));
    ["pointerup", "pointercancel", "pointerleave"].forEach((name) =>
      element.addEventListener(name, (event) => {
        this.pointers.delete(event.pointerId);
        this.zoom.handleUp(event);
      })
    );
    element.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && this.zoom.getScale() === 1 && event.deltaY > 0) return;
      event.preventDefault();
      this.zoom.zoomWithWheel(event);
    }, { passive: false });
  }

  down(event) {
    const onHandle = Math.abs(event.clientX - this.divider()) < 28;
    const zoomed = this.zoom.getScale() > 1;
    if (event.isPrimary ? zoomed && !onHandle : true) {
      this.pointers.add(event.pointerId);
      this.zoom.handleDown(event);
    }
  }

  divider() {
    const { left, width } = this.slider.getBoundingClientRect();
    return left + (width * this.slider.value) / 100;
  }

  follow() {
    requestAnimationFrame(() => {
      this.second.style.transform = this.first.style.transform;
      this.second.style.transition = this.first.style.transition;
    });
    const scale = this.zoom.getScale();
    this.slider.handle = String(scale > 1.01);
    this.element.classList.toggle("zoomed", scale > 1.01);
    this.changed?.(scale);
  }
}

export const beginCompare = (place) => {
  if (place.dataset.begun) return;
  place.dataset.begun = "1";
  const find = (name) => place.querySelector(`[data-tool="${name}"]`);
  const elements = [...place.querySelectorAll("[data-view]")];
  if (!elements.length) return;
  customElements.whenDefined("img-comparison-slider").then(() => {
    const stages = elements.map((element) => new Stage(element));
    const range = place.querySelector("[data-divide]");
    const shown = () => stages.find((stage) => !stage.element.hidden);
    const divide = (value) => {
      range.value = value;
      stages.forEach((stage) => { stage.slider.value = value; });
    };
    const scaled = (scale) => { place.querySelector("[data-scale]").textContent = `${Math.round(scale * 10) / 10}×`; };
    stages.forEach((stage) => {
      stage.changed = scaled;
      stage.slider.addEventListener("slide", () => { range.value = stage.slider.value; });
    });
    range.addEventListener("input", () => divide(Number(range.value)));

    let before = null;
    const original = find("original");
    const hold = () => {
      if (before !== null) return;
      before = Number(range.value);
      divide(100);
      original.setAttribute("aria-pressed", "true");
    };
    const release = () => {
      if (before === null) return;
      divide(before);
      before = null;
      original.setAttribute("aria-pressed", "false");
    };
    original.addEventListener("pointerdown", hold);
    ["pointerup", "pointerleave", "pointercancel", "blur"].forEach((name) => original.addEventListener(name, release));
    original.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && hold());
    original.addEventListener("keyup", release);

    const view = find("view");
    view?.addEventListener("click", () => {
      const whole = view.getAttribute("aria-pressed") !== "true";
      view.setAttribute("aria-pressed", String(whole));
      stages.forEach(({ element }) => { element.hidden = (element.dataset.view === "whole") !== whole; });
      scaled(shown().zoom.getScale());
    });
    find("in").addEventListener("click", () => shown().zoom.zoomIn());
    find("out").addEventListener("click", () => shown().zoom.zoomOut());
    find("reset").addEventListener("click", () => shown().zoom.reset());
    place.compare = {
      hold, release,
      toggle: () => view?.click(),
      zoomIn: () => shown().zoom.zoomIn(),
      zoomOut: () => shown().zoom.zoomOut(),
      reset: () => shown().zoom.reset(),
    };
  });
};
