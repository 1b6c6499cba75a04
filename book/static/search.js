// Beside each page that a search finds, the words around what was looked for: from a script, since a page that is
// opened from a folder may not fetch another. Asked from an Italian page, the search answers in Italian.

const asked = new URLSearchParams(location.search);
const AROUND = 110;  // characters before and after

const quoted = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
// Words of a text that begin with one that was asked for.
const beginning = (words) => new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.map(quoted).join("|") || "$^"})`, "giu");

// Where most of the words stand together, whole ones first.
function bestPlace(text, words) {
  let best = { at: 0, count: 0 };
  for (const { index: at } of text.matchAll(beginning(words))) {
    const near = ` ${text.slice(at, at + AROUND)} `.toLowerCase();
    const whole = words.filter((word) => new RegExp(`[^\\p{L}]${quoted(word)}[^\\p{L}]`, "u").test(near)).length;
    const count = words.filter((word) => near.includes(word)).length + whole;
    if (count > best.count) best = { at, count };
  }
  return best.at;
}

function excerpt(name, words) {
  const text = window.meaganExcerpts[name] ?? "";
  const at = bestPlace(text, words);
  const from = at > AROUND ? text.indexOf(" ", at - AROUND) + 1 : 0;
  const to = at + 2 * AROUND < text.length ? text.lastIndexOf(" ", at + 2 * AROUND) : text.length;
  const shown = document.createElement("p");
  shown.className = "context";
  if (from) shown.append("… ");
  let last = from;
  for (const { 0: word, index } of text.slice(0, to).matchAll(beginning(words))) {
    if (index < last) continue;
    shown.append(text.slice(last, index), Object.assign(document.createElement("mark"), { textContent: word }));
    last = index + word.length;
  }
  shown.append(text.slice(last, to));
  if (to < text.length) shown.append(" …");
  return shown;
}

const words = (asked.get("q") ?? "").toLowerCase().split(/[^\p{Letter}\p{Number}_]+/u).filter((word) => word.length > 2);
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
