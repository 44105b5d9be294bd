// Owns the page: one card an appliance, kept up to date by the event stream. Names and words of devices only ever become
// text, never markup. Never in here: judging a reading or a decision; the API has done that.

import { Chart } from "./chart.js";
import { Edge } from "./edge.js";
import * as people from "./people.js";
import { Why } from "./why.js";
import * as words from "./words.js";

const SHAPES = { good: "●", uncertain: "▲", bad: "✕", unknown: "○" };
const RANGES = [["1 h", 1], ["6 h", 6], ["24 h", 24]];
const KEPT = 1200;
const cards = new Map();
const $ = (id) => document.getElementById(id);
const EDGE_MS = 30000;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// ---------------------------------------------------------------- the API

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw await problem(answer);
  return answer.json();
}

async function problem(answer) {
  const told = await answer.json().catch(() => ({}));
  const error = new Error([told.detail ?? `The daemon answered ${answer.status}.`, told.hint].filter(Boolean)
    .join(told.detail?.includes("\n") ? "\n" : " "));
  return Object.assign(error, { status: answer.status });
}

// Returns whether it was done: nothing is without the token.
async function write(method, path, body) {
  let wrong = "";
  for (;;) {
    const token = localStorage.getItem("token") ?? (await askToken(wrong));
    if (token === null) return false;
    const headers = { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) };
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    if (answer.ok) {
      trouble("");
      return true;
    }
    if (answer.status !== 401) throw await problem(answer);
    localStorage.removeItem("token");
    wrong = "That is not the token of this home.";
  }
}

// A token in the fragment never leaves the browser; it is taken out of the address at once.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  localStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}

function askToken(wrong) {
  const dialog = $("ask");
  $("token").value = "";
  $("ask-trouble").textContent = wrong;
  dialog.showModal();
  return new Promise((resolve) => {
    const done = (token) => {
      if (token) localStorage.setItem("token", token);
      dialog.onclose = null;
      dialog.close();
      resolve(token);
    };
    dialog.onclose = () => done(null);
    $("ask-cancel").onclick = () => done(null);
    $("ask-form").onsubmit = (event) => {
      event.preventDefault();
      done($("token").value.trim() || null);
    };
  });
}

function trouble(text) {
  $("trouble").textContent = text;
  // Where a place is pointed at, columns matter.
  $("trouble").classList.toggle("exact", text.includes("\n"));
  $("trouble").hidden = !text;
}

const told = (promise) => promise.catch((error) => trouble(error.message));

const why = new Why($("why"), { make, get });

// ---------------------------------------------------------------- one appliance

class Card {
  constructor(view) {
    this.view = view;
    this.hours = 6;
    this.series = new Map();
    this.decisions = [];
    this.heard = new Map();
    this.asked = new people.Asked({ make, answer: (resource, body) => told(this.answer(resource, body)) });
    this.ends = new people.Ends({ make, choose: (action, end) => told(write("PUT", `${this.path}/override`, { action, ...end, by: "page" })) });
    const part = (key, tag, attributes, ...children) => (this[key] = make(tag, attributes, ...children));
    this.root = make("article", { class: "appliance", "aria-labelledby": `name-${view.id}` },
      make("div", { class: "saying" },
        make("header", {}, part("title", "h2", { id: `name-${view.id}` }), part("reach", "span", { class: "reach" })),
        this.asked.alarms,
        make("div", { "aria-live": "polite" },
          make("p", { class: "now" }, part("now", "strong", {}), part("since", "span", {})),
          part("because", "p", { class: "because" }),
          part("fault", "p", { class: "fault" })),
        this.asked.advice,
        part("held", "p", { class: "held", tabindex: -1 }),
        part("ladder", "div", { class: "ladder", role: "group", "aria-label": "Choose an action yourself" }),
        part("mark", "p", { class: "mark", id: `mark-${view.id}` }, "◆ only a person enters this"),
        this.ends.root,
        part("readings", "ul", { class: "readings", "aria-label": "Readings" }),
        part("right", "div", { class: "right", "aria-live": "polite", tabindex: -1 }),
        make("details", {}, make("summary", {}, "Who said what"), part("voices", "ul", { class: "voices" }))),
      make("div", { class: "showing" },
        part("ranges", "div", { class: "ranges", role: "group", "aria-label": "How far back the chart shows" }),
        part("figure", "figure", {}),
        make("h3", {}, "Lately"),
        part("lately", "ol", { class: "lately" })));
    this.chart = new Chart(this.figure);
    this.buttons = [...view.actions, ...view.modes].map((action) =>
      make("button", { type: "button", class: view.modes.includes(action) ? "mode" : false, "data-action": action,
        onclick: (event) => this.ends.open(action, this.view, event.currentTarget) }, words.capital(action), make("span", { "aria-hidden": "true" })));
    this.ladder.append(...this.buttons);
    this.ranges.append(...RANGES.map(([text, hours]) =>
      make("button", { type: "button", "data-hours": hours, onclick: () => this.reach_back(hours) }, text)));
  }

  update(view) {
    this.view = view;
    for (const reading of view.channels) this.heard.set(reading.channel, { ...reading, got: performance.now() });
    const { decision, override, doing } = view;
    const wanted = decision?.action ?? null;
    this.title.textContent = view.name;
    this.reach.textContent = { true: "● reachable", false: "✕ out of reach", null: "" }[view.available];
    this.now.textContent = words.capital(doing ?? wanted ?? "unknown");
    this.since.textContent = view.doing_since ? `since ${words.day(view.doing_since)}` : "";
    const lead = wanted === null ? "Nothing is decided" : doing === null || wanted === doing ? "Because" : `It should be ${wanted}, because`;
    const why = decision ? (wanted === null ? `: ${decision.because}` : ` ${decision.because}`) : " yet";
    this.say(this.because, `${lead}${why}.`);
    this.say(this.fault, view.fault ?? "");
    const held = override ? people.held(override, decision) : "";
    people.renew(this.held, held, () => (held ? [make("span", {}, held),
      make("button", { type: "button", class: "quiet", onclick: () => told(write("DELETE", `${this.path}/override`)) }, "Hand back")] : []));
    this.asked.update(view);
    people.sound($("alarms"), [...cards.values()].map((known) => known.view), make);
    this.corrected(view.learned);
    this.mark.hidden = !view.needs_person.length;
    for (const button of this.buttons) {
      const action = button.dataset.action;
      button.classList.toggle("current", action === (doing ?? wanted));
      button.setAttribute("aria-pressed", action === override?.action);
      const marked = view.needs_person.includes(action);
      button.lastChild.textContent = marked ? " ◆" : "";
      if (marked) button.setAttribute("aria-describedby", this.mark.id);
      else button.removeAttribute("aria-describedby");
    }
    this.voices.replaceChildren(...(decision?.voices ?? []).map((voice) => make("li", {},
      make("b", {}, voice.source), ` (${voice.authority.toLowerCase().replaceAll("_", " ")}) wants ${words.interval(voice)}: ${voice.because}.`,
      voice.limited_by ? make("i", {}, ` Limited by ${voice.limited_by}.`) : null)));
    this.tick();
  }

  // Only what changes is set: a screen reader speaks each change of a live region.
  say(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  get path() {
    return `/v1/appliances/${encodeURIComponent(this.view.id)}`;
  }

  // What was answered is shown at once, and what could not be any more, too.
  async answer(resource, body) {
    if (this.answering) return;
    this.answering = true;
    try {
      if (!(await write("POST", `${this.path}/${resource}`, body))) return;
    } finally {
      this.answering = false;
      await whole(async () => this.update(await get(this.path))).catch(() => {});
    }
  }

  // What a model should have said just now: it makes it more careful at once, and is kept for a refit.
  corrected(learned, noted = "") {
    people.renew(this.right, JSON.stringify([learned, noted]), () => Object.entries(learned).map(([channel, said]) =>
      make("p", { class: "row" }, make("span", {}, noted === channel ? `${words.name(channel)}: noted, thank you.` : `${words.name(channel)} now is really:`),
        ...said.map((label) => make("button", { type: "button", class: "quiet", "data-label": label, "aria-label": `${words.name(channel)} now is really ${label}`,
          onclick: async () => {
            const body = { appliance: this.view.id, channel, labels: [{ label }], by: "page" };
            if (await write("POST", "/v1/labels", body)) this.corrected(learned, channel);
          } }, label)))));
  }

  tick() {
    this.readings.replaceChildren(...[...this.heard.values()].map((reading) => {
      const age = reading.age_s === null ? null : reading.age_s + (words.rate() * (performance.now() - reading.got)) / 1000;
      const sure = reading.quality === "good";
      return make("li", { class: reading.quality, "data-channel": reading.channel },
        make("span", { class: "channel" }, make("span", { class: "shape", role: "img", "aria-label": reading.quality, title: reading.quality },
          SHAPES[reading.quality]), words.name(reading.channel)),
        make("span", { class: "value" }, make("b", { class: typeof reading.value === "string" && "word" }, words.number(reading.value)), reading.value !== null && reading.unit ? ` ${reading.unit}` : ""),
        make("span", { class: "age" }, sure ? [words.age(age), reading.by && `says ${reading.by}`].filter(Boolean).join(", ") : [reading.quality, reading.reason].filter(Boolean).join(": ")));
    }));
  }

  heardReading(reading) {
    this.heard.set(reading.channel, { ...reading, got: performance.now() });
    const series = this.series.get(reading.channel);
    if (series && (reading.quality === "good" || reading.value === null)) {
      series.points.push({ at: words.now() - 1000 * (reading.age_s ?? 0), value: reading.value, low: null, high: null });
      if (series.points.length > KEPT) series.points.splice(0, series.points.length - KEPT);
    }
    this.tick();
    this.plot();
  }

  decided(decision) {
    this.update({ ...this.view, decision });
    this.decisions = [...this.decisions.filter((known) => known.id !== decision.id), { ...decision, at: Date.parse(decision.at) }].slice(-KEPT);
    this.plot();
  }

  reach_back(hours) {
    this.hours = hours;
    told(whole(() => this.load()));
  }

  async load() {
    const since = new Date(words.now() - this.hours * 3600000).toISOString(), of = `appliance=${encodeURIComponent(this.view.id)}`;
    const decisions = `/v1/decisions?${of}`;
    const [within, before, ...series] = await Promise.all([get(`${decisions}&limit=200&since=${since}`), get(`${decisions}&limit=1&until=${since}`),
      ...this.view.channels.map(({ channel }) => get(`/v1/readings?${of}&channel=${encodeURIComponent(channel)}&since=${since}&points=240`))]);
    this.decisions = [...within.decisions, ...before.decisions].reverse().map((made) => ({ ...made, at: Date.parse(made.at) }));
    this.series = new Map(series.map((one) => [one.channel, { ...one, points: one.points.map((p) => ({ ...p, at: Date.parse(p.at) })) }]));
    this.plot();
  }

  // At most once a second: readings may come faster than anybody looks.
  plot() {
    this.due ??= setTimeout(() => {
      this.due = null;
      const to = words.now(), from = to - this.hours * 3600000;
      const series = [...this.series.values()].map((one) => ({ ...one, points: one.points.filter((point) => point.at >= from) }));
      this.chart.show({ from, to, ladder: this.view.actions, series, decisions: this.decisions });
      for (const button of this.ranges.children) button.setAttribute("aria-pressed", Number(button.dataset.hours) === this.hours);
      this.lately.replaceChildren(...this.decisions.slice(-5).reverse().map((made) => make("li", {},
        make("time", { datetime: new Date(made.at).toISOString() }, words.day(made.at)), make("b", {}, made.action ?? "–"), make("span", {}, made.because),
        make("button", { type: "button", class: "quiet", "aria-label": `Why? (${words.day(made.at)})`, onclick: () => why.open(this.view, made.id) }, "Why?"))));
    }, this.plotted ? 1000 : 0);
    this.plotted = true;
  }
}

// ---------------------------------------------------------------- the home

function card(view) {
  let known = cards.get(view.id);
  if (!known) {
    known = new Card(view);
    cards.set(view.id, known);
    $("home").append(known.root);
  }
  known.update(view);
  return known;
}

// An answer may be older than an event that came while it was on its way: events wait until the answers are in.
let asking = 0;
const waiting = [];

async function whole(load) {
  asking++;
  try {
    await load();
  } finally {
    if (--asking === 0) waiting.splice(0).forEach((act) => act());
  }
}

function happened(act) {
  if (asking === 0) return act();
  waiting.push(act);
  if (waiting.length > KEPT) waiting.shift();
}

async function load() {
  const { appliances } = await get("/v1/appliances");
  const gone = [...cards.keys()].filter((id) => !appliances.some((view) => view.id === id));
  for (const id of gone) {
    cards.get(id).root.remove();
    cards.delete(id);
  }
  people.sound($("alarms"), appliances, make);
  $("home").querySelector(".empty")?.remove();
  if (!appliances.length) $("home").replaceChildren(make("p", { class: "empty" }, "No appliance is configured yet."));
  await Promise.all(appliances.map((view) => card(view).load()));
  trouble("");
}

function health({ status, parts, now }) {
  words.tell(now);
  const ill = parts.filter((part) => part.state !== "ok").map((part) => part.detail ?? `${part.name} is ${part.state}`);
  $("link").textContent = status === "ok" ? "● live" : `▲ ${status}: ${ill.join("; ")}`;
  $("link").className = `link ${status}`;
}

function listen() {
  const stream = new EventSource("/v1/events");
  const on = (name, act) => stream.addEventListener(name, (event) => happened(() => act(JSON.parse(event.data))));
  // The home's clock comes first: what "the last six hours" are depends on it.
  stream.onopen = () => told(whole(() => fetch("/healthz").then((answer) => answer.json()).then(health).then(load)));
  on("appliance", card);
  on("decision", (decision) => cards.get(decision.appliance)?.decided(decision));
  on("reading", ({ appliance, reading }) => cards.get(appliance)?.heardReading(reading));
  on("health", health);
  stream.onerror = () => {
    $("link").textContent = "○ not live: trying again …";
    $("link").className = "link lost";
    // Where the browser gives up by itself (too many pages listen), ask now and then instead.
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(listen, 10000);
      told(whole(load));
    }
  };
}

takeToken();
listen();
const edge = new Edge($("edge"), { make, get });
edge.load().catch(() => {});
setInterval(() => edge.load().catch(() => {}), EDGE_MS);
setInterval(() => cards.forEach((known) => known.tick()), 5000);
setInterval(() => {
  cards.forEach((known) => known.plot());
  fetch("/healthz").then((answer) => answer.json()).then(health, () => {});
}, 10000);
