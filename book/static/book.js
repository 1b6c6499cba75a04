// Tables that are sorted by a click on a head, and figures that move when asked to.

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((head, column) => {
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
