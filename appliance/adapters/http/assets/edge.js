// Owns what a person is told of the edge: whether it answers, what it cost, and how far audits let each model go. Hidden where there is
// none. Never in here: judging any of that; the API has done it.

import * as words from "./words.js";

const percent = (share) => `${words.number(100 * share)} %`;

function answers(of) {
  const budget = of.budget, mb = (budget.bytes_out + budget.bytes_in) / 1e6, cache = of.cache;
  const link = of.breaker === "closed" ? "It answers" : `It is away (${of.why ?? of.breaker}): the local models decide alone`;
  const took = of.median_ms === null ? "" : `, in ${words.number(of.median_ms)} ms`;
  const lines = [
    `${link}${of.breaker === "closed" ? took : ""}.`,
    `${of.answered} answered, ${of.cached} from the cache${cache.hit_share === null ? "" : ` (${percent(cache.hit_share)} of lookups)`}.`,
    `Asked in ${budget.asked} of ${budget.seen} cases, of at most ${words.number(budget.cases_percent)} %; ${words.number(mb)} MB, of at most ${words.number(budget.mb_a_day)} a day.`,
  ];
  const refused = budget.refused_cases + budget.refused_bytes;
  if (refused) lines.push(`${refused} were not asked, as the budget was spent.`);
  for (const { name, believed, why, wrong_hits: wrong } of of.teachers) {
    if (!believed) lines.push(`${name} is not believed: ${why}.`);
    if (wrong.asked) lines.push(`${wrong.wrong} of ${wrong.asked} cached answers of ${name} that were asked again were wrong: ${percent(wrong.low)} to ${percent(wrong.high)}.`);
  }
  return [...lines, ...of.weaknesses.map(words.capital)];
}

function measured(audit) {
  const lines = [words.capital(`${audit.because}.`)];
  if (audit.audits) {
    lines.push(`${audit.disagreed} of ${audit.audits} audits disagreed with ${audit.edge}: ${percent(audit.low)} to ${percent(audit.high)}, however often you look.`);
  }
  if (audit.days_needed) lines.push(`Its card allows ${percent(audit.budget)}; five times as much is found in ${audit.days_needed} days, nine times of ten.`);
  if (audit.labelled) lines.push(`People said otherwise in ${audit.missed} of ${audit.labelled} labels.`);
  return lines;
}

export class Edge {
  // `make` builds an element, `get` asks the API.
  constructor(root, { make, get }) {
    Object.assign(this, { root, make, get });
  }

  async load() {
    const { answers: of, audits } = await this.get("/v1/edge"), { make } = this;
    this.root.hidden = of === null;
    if (of === null) return;
    const list = (lines) => make("ul", { class: "voices" }, ...lines.map((line) => make("li", {}, line)));
    this.root.replaceChildren(
      make("h2", {}, "The edge"), make("p", { class: "time" }, of.url), list(answers(of)),
      ...audits.flatMap((audit) => [
        make("h3", {}, `${words.name(audit.channel)}: ${audit.acts ? "it acts" : "it only recommends"}`), list(measured(audit)),
      ]),
    );
  }
}
