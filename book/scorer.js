// The order of what a search finds: chapters and lessons, then pages and figures, then the library.
var Scorer = {
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
  score: ([name, , , , score]) => {
    if (name.startsWith("api/")) return score;
    return score + (name.startsWith("chapters/") ? 200 : 100);
  },
};
