"use strict";
const table = document.getElementById("submissions");
const form = document.getElementById("filters");
const count = document.getElementById("count");
const more = document.getElementById("more");
const body = table.tBodies[0];
const FIRST = 250; // rows that are laid out at once; the style hides the same number until this runs
let limit = FIRST;
const heads = [...table.tHead.rows[0].cells];
const column = Object.fromEntries(heads.map((head, index) => [head.textContent, index]));
const rows = [...body.rows].map((row) => {
  const cells = [...row.cells].map((cell) => cell.textContent);
  return { row, cells, text: cells[0].toLowerCase() };
});

const numeric = (text) => (text ? Number(text.replaceAll(",", "")) : NaN);
const order = {
  number: (a, b) => numeric(a) - numeric(b),
  text: new Intl.Collator("en", { numeric: true }).compare,
};

function sort(head, way) {
  const at = heads.indexOf(head);
  const compare = order[head.dataset.sort];
  for (const each of heads) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
  const sign = way === "ascending" ? 1 : -1;
  // What says nothing stays last, whichever way.
  rows.sort((a, b) => !a.cells[at] - !b.cells[at] || sign * compare(a.cells[at], b.cells[at]) || 0);
  // Emptied at once and out of the page: 2,000 rows taken from the middle one by one are seconds.
  body.remove();
  body.replaceChildren();
  body.append(...rows.map((each) => each.row));
  filter();
  table.append(body);
}

function wanted() {
  const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));
  const words = (given.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const equal = [["verdict", "Verdict"], ["evidence", "Evidence"], ["track", "Track"]]
    .filter(([name]) => given[name])
    .map(([name, title]) => [column[title], given[name]]);
  return {
    given,
    matches: ({ cells, text }) =>
      words.every((word) => (/^#\d+$/.test(word) ? text.startsWith(word + " ") : text.includes(word))) &&
      equal.every(([at, value]) => cells[at] === value) &&
      (!given.rule || cells[column.Rules].split(" ").includes(given.rule)),
  };
}

function filter() {
  const { given, matches } = wanted();
  let found = 0;
  for (const each of rows) {
    const fits = matches(each);
    found += fits;
    const hidden = !fits || found > limit;
    if (each.row.hidden !== hidden) each.row.hidden = hidden;
  }
  const all = rows.length.toLocaleString("en");
  const words = found === rows.length ? `${all} submissions` : `${found.toLocaleString("en")} of ${all} submissions`;
  count.textContent = found > limit ? `${words}, the first ${limit} shown` : words;
  more.hidden = found <= limit;
  more.textContent = `Show all ${found.toLocaleString("en")}`;
  const address = Object.keys(given).length ? "#" + new URLSearchParams(given) : location.pathname;
  if (Object.keys(given).length || location.hash.includes("=")) history.replaceState(null, "", address);
}

for (const head of heads) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () =>
    sort(head, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
  head.replaceChildren(button);
}
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
  if (form.elements[name]) form.elements[name].value = value;
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
more.addEventListener("click", () => {
  limit = Infinity;
  filter();
  table.parentElement.focus();
});
filter();
document.documentElement.classList.remove("scripted");
