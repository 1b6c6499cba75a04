// Beside each page that a search finds, the words around what was looked for: from a script, since a page that is
// opened from a folder may not fetch another. Asked from an Italian page, the search answers in Italian.

const asked = new URLSearchParams(location.search);
const AROUND = 110;  // characters before and after

function excerpt(name, words) {
  const text = window.meaganExcerpts[name] ?? "";
  const lower = text.toLowerCase();
  const whole = lower.indexOf(words.join(" "));
  const places = words.map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const at = whole >= 0 ? whole : places[0] ?? 0;
  const from = at > AROUND ? text.indexOf(" ", at - AROUND) + 1 : 0;
  const to = at + 2 * AROUND < text.length ? text.lastIndexOf(" ", at + 2 * AROUND) : text.length;
  const shown = document.createElement("p");
  shown.className = "context";
  if (from) shown.append("… ");
  const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  for (const [i, part] of text.slice(from, to).split(new RegExp(`(${pattern || "$^"})`, "i")).entries()) {
    if (i % 2) shown.append(Object.assign(document.createElement("mark"), { textContent: part }));
    else shown.append(part);
  }
  if (to < text.length) shown.append(" …");
  return shown;
}

const words = (asked.get("q") ?? "").toLowerCase().split(/[^\p{Letter}\p{Number}_]+/u).filter((word) => word);
const results = document.getElementById("search-results");
new MutationObserver((changes) => {
  for (const item of changes.flatMap((change) => [...change.addedNodes])) {
    if (item.nodeName !== "LI" || item.querySelector(".context")) continue;
    const link = item.querySelector("a");
    const [page, anchor] = link.getAttribute("href").split("#");
    if (!anchor || !item.classList.contains("kind-object")) item.append(excerpt(page.replace(/\.html$/, ""), words));
  }
}).observe(results, { childList: true, subtree: true });

if (asked.get("lang") === "it") {
  document.documentElement.lang = "it";
  Documentation.addTranslations({ messages: window.meaganItalian, plural_expr: "n != 1" });
  document.querySelector("article h1, [role=main] h1").textContent = window.meaganItalian.Search;
  document.title = `${window.meaganItalian.Search} - MEAGAN`;
}
document.querySelector(".search-again [name=q]").value = asked.get("q") ?? "";
