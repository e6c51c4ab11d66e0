// The front page's picture: what is pointed at, tapped or reached with the keyboard is shown below it.
document.addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll(".clouds")) {
    const text = figure.querySelector(".clouds-text");
    let shown = null;
    const show = (event) => {
      if (event.target.tagName !== "circle") return;
      if (shown) shown.classList.remove("shown");
      shown = event.target;
      shown.classList.add("shown");
      text.textContent = shown.querySelector("title").textContent;
    };
    for (const circle of figure.querySelectorAll("circle")) circle.setAttribute("tabindex", "0");
    for (const kind of ["pointerover", "click", "focusin"]) figure.addEventListener(kind, show);
  }
});
