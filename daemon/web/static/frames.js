// Lays the frame of the place where most changed over its picture, which has bars beside it.
const fit = (image) => {
  const frame = image.parentElement.querySelector(".frame");
  if (!frame) return;
  frame.style.left = `${image.offsetLeft}px`;
  frame.style.top = `${image.offsetTop}px`;
  frame.style.width = `${image.offsetWidth}px`;
  frame.style.height = `${image.offsetHeight}px`;
};

const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => fit(target)));

export const fitFrames = (root) =>
  root.querySelectorAll(".framed img").forEach((image) => {
    if (image.dataset.fitted) return;
    image.dataset.fitted = "1";
    image.addEventListener("load", () => fit(image));
    sizes.observe(image);
    fit(image);
  });
