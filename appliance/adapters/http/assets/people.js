// Owns what a person is told and asked, and answers: alarms, recommendations, and until when their own word holds.
// Never in here: what an answer does; the API has decided that. What rules and people wrote only ever becomes text.

import * as words from "./words.js";

const WAYS = { device: " at the device", http: " through the API", cli: " on the command line", mqtt: " over MQTT",
  advice: " by accepting what was recommended" };
const STRONGER = ["LIFE_SAFETY", "MINIMUM_OFF", "EQUIPMENT"];

const loud = (alarm) => alarm.authority === "LIFE_SAFETY" || (alarm.waits && !alarm.acknowledged);

export function until(override) {
  if (override.until === null) return "you say otherwise";
  return override.ends === null ? words.day(override.until) : `${override.ends} (${words.day(override.until)} at the latest)`;
}

// What a person chose, until when, and whether something stronger stands in its way for now.
export function held(override, decision) {
  const blocked = decision !== null && decision.action !== override.action && STRONGER.includes(decision.authority);
  return [`A person chose ${override.action}${WAYS[override.by] ?? ""} until ${until(override)}.`,
    blocked ? `It is ${decision.action} all the same: ${decision.because}.` : "",
    override.recorded ? "" : "(Not saved: the disk is in trouble.)"].filter(Boolean).join(" ");
}

// Builds the children of `node` anew only where `key` changed: whoever is about to press a button must not lose it under the
// finger, and a screen reader speaks what is new alone. Where the pressed button is gone, the focus stays at this place.
export function renew(node, key, build) {
  if (node.key === key) return;
  node.key = key;
  const within = node.contains(document.activeElement);
  node.replaceChildren(...build());
  if (within) node.focus({ preventScroll: true });
}

// Alarms and recommendations of one appliance. `answer(resource, body)` sends an answer.
export class Asked {
  constructor({ make, answer }) {
    Object.assign(this, { make, answer });
    this.alarms = make("ul", { class: "alarms-here", "aria-label": "Alarms", tabindex: -1 });
    this.advice = make("ul", { class: "advice", "aria-label": "Recommended", "aria-live": "polite", tabindex: -1 });
  }

  update({ alarms, advice, needs_person: needs }) {
    const { make } = this;
    renew(this.alarms, JSON.stringify(alarms), () => alarms.map((alarm) => make("li", { class: loud(alarm) ? "loud" : false },
      make("p", {}, make("b", {}, loud(alarm) ? "⚠ Alarm: " : "Protection: "), `${alarm.because}. `,
        make("span", {}, alarm.waits && !alarm.acknowledged ? "It goes on until a person has seen it."
          : `${alarm.acknowledged ? "Seen. " : ""}It ends once its cause is gone.`)),
      alarm.waits && !alarm.acknowledged ? make("button", { type: "button", "aria-label": `I have seen it: ${alarm.because}`,
        onclick: () => this.answer("alarms", { rule: alarm.rule, by: "page" }) }, "I have seen it") : null)));
    // The home's clock may be told anew meanwhile: the time is part of what is shown.
    const shown = advice.map((one) => ({ ...one, ends: words.day(one.until) }));
    renew(this.advice, JSON.stringify(shown), () => shown.map((one) => make("li", {},
      make("p", {}, make("b", {}, `Recommended: ${one.action}${needs.includes(one.action) ? " ◆" : ""}. `), `${words.capital(one.because)}. `,
        make("span", {}, `Until ${one.ends}, then it is taken back.`)),
      make("div", { class: "row" }, ...[["Accept", "strong"], ["Dismiss", "quiet"]].map(([word, look]) =>
        make("button", { type: "button", class: look, "aria-label": `${word}: ${one.action}, ${one.source}`,
          onclick: () => this.answer("advice", { answer: word.toLowerCase(), source: one.source, by: "page" }) }, word))))));
  }
}

// The choice of what ends a person's word. `choose(action, end)` sends it.
export class Ends {
  constructor({ make, choose }) {
    Object.assign(this, { make, choose });
    this.root = make("div", { class: "durations", role: "group", hidden: true,
      onkeydown: (event) => event.key === "Escape" && this.close() });
  }

  open(action, view, from) {
    const { make } = this;
    this.from = from;
    const pick = (end) => {
      this.close();
      this.choose(action, end);
    };
    const option = (text, end) => make("button", { type: "button", onclick: () => pick(end()) }, text);
    const hour = new Date(words.now() + 5400000);
    const clock = make("input", { type: "time", required: true, "aria-label": "A time of day, in the home's time" });
    clock.value = `${String(hour.getHours()).padStart(2, "0")}:00`;
    this.root.replaceChildren(
      make("span", {}, `${words.capital(action)}: how long?`),
      make("button", { type: "button", class: "quiet", "aria-label": "Never mind", onclick: () => this.close() }, "✕"),
      option("30 min", () => ({ for_s: 1800 })), option("2 h", () => ({ for_s: 7200 })),
      option(words.morning().words, () => ({ for_s: words.morning().seconds })),
      make("form", { onsubmit: (event) => {
        event.preventDefault();
        pick({ until: clock.value });
      } }, clock, make("button", { type: "submit" }, "until then")),
      ...view.ends.map((end) => option(`until ${end}`, () => ({ until: end }))),
      option("until I say otherwise", () => ({ open_ended: true })));
    this.root.setAttribute("aria-label", `How long ${action}`);
    this.root.hidden = false;
    this.root.querySelector("button:not(.quiet)").focus({ preventScroll: true });
  }

  close() {
    this.root.hidden = true;
    this.from?.focus({ preventScroll: true });
  }
}

// Alarms of the whole home, always in sight, also from another tab: until a person has seen them, or they are over.
export function sound(node, views, make) {
  const ringing = views.flatMap((view) => view.alarms.filter((alarm) => loud(alarm) && !alarm.acknowledged).map((alarm) => ({ view, alarm })));
  renew(node, JSON.stringify(ringing.map(({ view, alarm }) => [view.name, alarm])), () => ringing.map(({ view, alarm }) =>
    make("p", {}, `⚠ Alarm: ${alarm.because}. `, make("a", { href: `#name-${view.id}` }, view.name))));
  node.hidden = !ringing.length;
  document.title = ringing.length ? `⚠ Alarm: ${ringing[0].view.name}` : "appliance";
}
