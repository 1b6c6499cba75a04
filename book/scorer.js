// The order of what a search finds: chapters and lessons, then pages and figures, then the library.
var Scorer = {
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
  score: ([name, title, , , score]) => {
    const asked = new URLSearchParams(location.search).get("q").trim().toLowerCase();
    const named = title.toLowerCase().includes(asked) ? 20 : 0;
    if (name.startsWith("api/")) return score + named;
    return score + named + (name.startsWith("chapters/") ? 200 : 100);
  },
};
