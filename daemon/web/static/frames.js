// Lays the frame of the place where most changed over its picture, which has bars beside it.
const fit = (image) => {
  const frame = image.parentElement.querySelector(".frame");
  if (!frame || !image.naturalWidth) return;
  const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  frame.style.left = `${(image.clientWidth - width) / 2}px`;
  frame.style.top = `${(image.clientHeight - height) / 2}px`;
  frame.style.width = `${width}px`;
  frame.style.height = `${height}px`;
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
