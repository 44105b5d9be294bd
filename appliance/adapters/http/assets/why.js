// Owns the account of one decision, opened over the page: the sentence, who said what, what it rested on, what would have
// changed it, and why it was none of the other actions. Never in here: judging any of that; the API has done it.

import * as words from "./words.js";

export class Why {
  // `make` builds an element, `get` asks the API.
  constructor(dialog, { make, get }) {
    Object.assign(this, { dialog, make, get, asked: 0 });
    dialog.querySelector("[data-close]").onclick = () => dialog.close();
  }

  part(name) {
    return this.dialog.querySelector(`[data-part=${name}]`);
  }

  async open(view, decision) {
    const asked = ++this.asked, { make } = this, path = `/v1/appliances/${encodeURIComponent(view.id)}`, at = `at=${encodeURIComponent(`#${decision}`)}`;
    this.part("title").textContent = view.name;
    this.part("sentence").textContent = "…";
    for (const name of ["time", "voices", "inputs", "flips", "others", "answer"]) this.part(name).replaceChildren();
    if (!this.dialog.open) this.dialog.showModal();
    let told;
    try {
      told = await this.get(`${path}/why?${at}&flip=true`);
    } catch (error) {
      if (asked === this.asked) this.part("sentence").textContent = error.message;
      return;
    }
    // Another one may have been opened meanwhile.
    if (asked !== this.asked) return;
    const made = told.decision;
    this.part("sentence").textContent = words.capital(told.sentence);
    this.part("time").textContent = `${words.day(made.at)}${made.count > 1 ? `, and ${made.count - 1} times more until ${words.day(made.last_at)}` : ""}`;
    this.part("voices").replaceChildren(...made.voices.map((voice) => make("li", {}, make("b", {}, voice.source),
      ` (${voice.authority.toLowerCase().replaceAll("_", " ")}) wants ${words.interval(voice)}: ${voice.because}.`,
      voice.limited_by ? make("i", {}, ` Limited by ${voice.limited_by}.`) : null)));
    this.part("inputs").replaceChildren(...made.inputs.map((seen) => make("li", {}, make("b", {}, words.name(seen.channel)),
      ` ${seen.value === null ? "unknown" : words.number(seen.value)}${seen.value !== null && seen.unit ? ` ${seen.unit}` : ""}, ${words.age(seen.age_s)}, ${seen.quality}`,
      seen.reason || seen.by ? ` (${[seen.reason, seen.by && `says ${seen.by}`].filter(Boolean).join(", ")})` : "")));
    const lines = told.flip?.lines ?? ["What would have changed it can't be told from what was recorded."];
    this.part("flips").replaceChildren(...lines.map((line) => make("li", {}, words.capital(line))));
    this.part("others").replaceChildren(...[...view.actions, ...view.modes].filter((action) => action !== made.action).map((action) =>
      make("button", { type: "button", onclick: () => this.other(asked, `${path}/why-not/${encodeURIComponent(action)}?${at}`) }, `Why not ${action}?`)));
  }

  async other(asked, path) {
    const told = await this.get(path).catch((error) => ({ sentence: error.message, lines: [] }));
    if (asked !== this.asked) return;
    this.part("answer").replaceChildren(this.make("p", {}, words.capital(told.sentence)),
      this.make("ul", { class: "voices" }, ...told.lines.map((line) => this.make("li", {}, line))));
  }
}
