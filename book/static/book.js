// Tables that are sorted by a click on a head, figures that move when asked to, and what keyboards and phones need.

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((head) => {
    const column = head.cellIndex;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.querySelector("p")?.childNodes ?? head.childNodes);
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.querySelectorAll("th")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent.trim();
      const value = (row) => Number.parseFloat(text(row).replace("−", "-"));
      const rows = [...body.rows];
      const known = rows.filter((row) => text(row) !== "–");
      const numeric = known.length > 0 && known.every((row) => !Number.isNaN(value(row)));
      const words = (a, b) => text(a).localeCompare(text(b), undefined, { numeric: true });
      const ascending = (a, b) => numeric ? value(a) - value(b) : words(a, b);
      const missing = (row) => numeric && Number.isNaN(value(row));  // always last
      rows.sort((a, b) => missing(a) - missing(b) || (descending ? -1 : 1) * ascending(a, b));
      body.append(...rows);
    });
  });
}

for (const link of document.querySelectorAll("a.snapshots")) {
  const picture = (link.closest("figure") ?? link.closest("section")).querySelector("img");
  const still = picture.src;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "snapshots";
  const show = (moving) => {
    picture.src = moving ? link.href : still;
    button.textContent = moving ? "■ Stop" : "▶ Play";
  };
  button.addEventListener("click", () => show(picture.src === still));
  show(false);
  link.replaceWith(button);
}

// What scrolls sideways can be scrolled by keyboard; of what does not, the Tab key need not know.
function markScrolling() {
  for (const box of document.querySelectorAll("article :is(pre, div.math, .table-wrapper, .scrolls, .output.text_html)")) {
    if (box.matches("a")) continue;
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
for (const picture of document.querySelectorAll("article img.wide")) {
  const parent = picture.parentElement;
  const box = parent.matches("figure, p, a") && parent.children.length === 1 ? parent : picture;
  if (box === picture) continue;
  box.classList.add("scrolls");
}
addEventListener("load", markScrolling);
addEventListener("resize", markScrolling);
document.addEventListener("toggle", markScrolling, true);
window.MathJax?.startup?.promise?.then(markScrolling);

// The buttons of the narrow page are labels of hidden boxes, which no key reaches: real buttons; Escape closes.
for (const [id, drawer] of [["__navigation", ".sidebar-drawer"], ["__toc", ".toc-drawer"]]) {
  const box = document.getElementById(id);
  const panel = document.querySelector(drawer);
  if (!box || !panel) continue;
  panel.id ||= `${id}-drawer`;
  const buttons = [...document.querySelectorAll(`.page label[for="${id}"]`)].map((label) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: label.className });
    button.setAttribute("aria-label", box.getAttribute("aria-label"));
    button.setAttribute("aria-controls", panel.id);
    button.append(...label.childNodes);
    button.addEventListener("click", () => box.click());
    label.replaceWith(button);
    return button;
  });
  const tell = () => buttons.forEach((button) => button.setAttribute("aria-expanded", box.checked));
  box.addEventListener("change", () => {
    tell();
    if (box.checked) setTimeout(() => panel.querySelector("a, button")?.focus(), 50);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.checked) return;
    box.click();
    buttons.find((button) => button.checkVisibility())?.focus();
  });
  tell();
}

if (document.documentElement.lang === "it") {  // the search answers in the language of the page that asked
  const asked = { type: "hidden", name: "lang", value: "it" };
  document.querySelector(".sidebar-search-container")?.append(Object.assign(document.createElement("input"), asked));
}

// Paper shows the answers, and opens nothing.
const folded = () => document.querySelectorAll("article details:not(.hide, .admonition, [open])");
addEventListener("beforeprint", () => folded().forEach((details) => { details.open = details.dataset.printed = true; }));
addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll("details[data-printed]")) {
    details.open = false;
    delete details.dataset.printed;
  }
});
