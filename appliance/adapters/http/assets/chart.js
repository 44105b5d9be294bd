// Owns the chart: readings and actions in lanes over one time axis. Never in here: where the values come from.

import * as words from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LANE = 62, GAP = 24, BAND = 28, ACTIONS = 70, LEFT = 2, RIGHT = 46, TOP = 18, AXIS = 24;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360].map((minutes) => minutes * 60000);
let patterns = 0;

function draw(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return parent.appendChild(node);
}

export class Chart {
  constructor(figure) {
    this.svg = draw(figure, "svg", { role: "img", tabindex: 0, class: "plot" });
    this.readout = figure.appendChild(document.createElement("figcaption"));
    this.hatch = `hatch${patterns++}`;
    this.cursor = null;
    new ResizeObserver(() => this.data && this.show(this.data)).observe(figure);
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.svg.addEventListener("blur", () => this.point(null));
    this.svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -8, ArrowRight: 8 }[event.key];
      if (!step || !this.scale) return;
      event.preventDefault();
      this.point(Math.min(this.scale.right, Math.max(LEFT, (this.cursor ?? this.scale.right) + step)));
    });
  }

  // data: {from, to, ladder, series: [{channel, unit, points: [{at, value, low, high}]}], decisions: oldest first}
  show(data) {
    this.data = data;
    const width = Math.max(260, this.svg.parentNode.clientWidth), right = width - RIGHT;
    const x = (time) => LEFT + (right - LEFT) * Math.min(1, Math.max(0, (time - data.from) / (data.to - data.from)));
    const lanes = data.series.filter((series) => series.points.some((point) => point.value !== null));
    const bottom = TOP + lanes.reduce((sum, lane) => sum + (numeric(lane) ? LANE : BAND) + GAP, 0) + ACTIONS;
    this.scale = { x, right, time: (at) => data.from + ((at - LEFT) / (right - LEFT)) * (data.to - data.from) };
    this.lanes = lanes;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${bottom + AXIS}`);
    this.svg.setAttribute("height", bottom + AXIS);
    this.svg.setAttribute("aria-label", this.summary(lanes));
    const pattern = draw(draw(this.svg, "defs", {}), "pattern", {
      id: this.hatch, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    draw(pattern, "rect", { width: 3, height: 6, class: "hatch" });
    this.axis(x, bottom);
    let top = TOP;
    for (const lane of lanes) {
      draw(this.svg, "text", { x: LEFT, y: top - 6, class: "lane-name" }, words.name(lane.channel) + (lane.unit ? `, ${lane.unit}` : ""));
      top += (numeric(lane) ? this.line(lane, x, top, right) : this.band(lane, x, top)) + GAP;
    }
    this.actions(x, top, right);
    this.rule = draw(this.svg, "line", { class: "rule", y1: TOP, y2: bottom, visibility: "hidden" });
    this.point(this.cursor);
  }

  summary(lanes) {
    const last = (lane) => `${words.name(lane.channel)} ${words.number(lane.points.findLast((p) => p.value !== null).value)} ${lane.unit ?? ""}`;
    const action = this.data.decisions.at(-1)?.action ?? "nothing decided";
    return `Readings and actions from ${words.clock(this.data.from)} to ${words.clock(this.data.to)}. Last: ${[...lanes.map(last), action].join(", ")}.`;
  }

  axis(x, bottom) {
    const { from, to } = this.data;
    const fits = Math.max(2, Math.floor((x(to) - LEFT) / 64));
    const step = STEPS.find((size) => (to - from) / size <= fits) ?? STEPS.at(-1);
    const shift = new Date(from).getTimezoneOffset() * 60000;
    for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
      draw(this.svg, "line", { x1: x(at), x2: x(at), y1: TOP, y2: bottom, class: "grid" });
      const anchor = x(at) < 20 ? "start" : "middle";
      draw(this.svg, "text", { x: x(at), y: bottom + 17, class: "tick", "text-anchor": anchor }, words.clock(at));
    }
  }

  line(lane, x, top, right) {
    const points = lane.points.filter((point) => typeof point.value === "number");
    let low = Math.min(...points.map((p) => p.low ?? p.value)), high = Math.max(...points.map((p) => p.high ?? p.value));
    const room = Math.max((high - low) * 0.08, Math.abs(high) * 0.02, 0.5);
    const bounds = [low, high];
    low -= room;
    high += room;
    const y = (value) => top + LANE - ((value - low) / (high - low)) * LANE;
    for (const run of runs(lane.points, this.data)) {
      const over = run.map((p) => `${x(p.at)},${y(p.high ?? p.value)}`), under = run.map((p) => `${x(p.at)},${y(p.low ?? p.value)}`).reverse();
      draw(this.svg, "polygon", { points: [...over, ...under].join(" "), class: "spread" });
      draw(this.svg, "polyline", { points: run.map((p) => `${x(p.at)},${y(p.value)}`).join(" "), class: "curve" });
      if (run.length === 1) draw(this.svg, "circle", { cx: x(run[0].at), cy: y(run[0].value), r: 2, class: "dot" });
    }
    const last = points.at(-1);
    draw(this.svg, "circle", { cx: x(last.at), cy: y(last.value), r: 3, class: "dot" });
    if (bounds[1] > bounds[0]) draw(this.svg, "text", { x: right + 8, y: y(bounds[0]) + 4, class: "tick" }, words.number(bounds[0]));
    draw(this.svg, "text", { x: right + 8, y: y(bounds[1]) + 4, class: "tick" }, words.number(bounds[1]));
    return LANE;
  }

  // Each word has its own height, so that it is told where there is no room to write it.
  band(lane, x, top) {
    const points = lane.points, all = [...new Set(points.map((p) => p.value).filter((value) => value !== null))].sort();
    for (let start = 0, end; start < points.length; start = end) {
      for (end = start + 1; end < points.length && points[end].value === points[start].value; ) end++;
      const from = x(points[start].at), to = x(end < points.length ? points[end].at : this.data.to), word = points[start].value;
      const height = 4 + ((BAND - 4) * (all.indexOf(word) + 1)) / all.length;
      if (word !== null) this.block(from, to, top + BAND - height, height, String(word), false, top + BAND - 5);
    }
    return BAND;
  }

  actions(x, top, right) {
    const { decisions, ladder, to } = this.data;
    draw(this.svg, "text", { x: LEFT, y: top - 6, class: "lane-name" }, "What it was told");
    draw(this.svg, "line", { x1: LEFT, x2: right, y1: top + ACTIONS, y2: top + ACTIONS, class: "base" });
    decisions.forEach((decision, index) => {
      const from = x(decision.at), end = x(decisions[index + 1]?.at ?? to);
      const rung = ladder.indexOf(decision.action);
      if (decision.action === null) return;
      const height = rung < 0 ? ACTIONS / 2 : 3 + (ACTIONS - 3) * (rung / Math.max(1, ladder.length - 1));
      this.block(from, end, top + ACTIONS - height, height, decision.action, decision.authority === "MANUAL");
    });
  }

  block(from, to, top, height, text, hatched, baseline = height < 18 ? top - 5 : top + 15) {
    const width = Math.max(1, to - from - 1);
    draw(this.svg, "rect", { x: from, y: top, width, height, class: "block" });
    if (hatched) draw(this.svg, "rect", { x: from, y: top, width, height, fill: `url(#${this.hatch})` });
    draw(this.svg, "line", { x1: from, x2: from + width, y1: top, y2: top, class: "edge" });
    if (width > text.length * 8 + 8) draw(this.svg, "text", { x: from + 5, y: baseline, class: "block-name" }, text);
  }

  point(at) {
    this.cursor = at;
    if (!this.rule) return;
    const inside = at !== null && at <= this.scale.right;
    this.rule.setAttribute("visibility", inside ? "visible" : "hidden");
    if (!inside) {
      this.readout.textContent = this.data.decisions.some((d) => d.authority === "MANUAL") ? "Hatched: a person’s choice." : " ";
      return;
    }
    this.rule.setAttribute("x1", at);
    this.rule.setAttribute("x2", at);
    const time = this.scale.time(at);
    const said = this.lanes.map((lane) => {
      const point = lane.points.findLast((p) => p.at <= time);
      return point && point.value !== null ? `${words.name(lane.channel)} ${words.number(point.value)} ${lane.unit ?? ""}`.trim() : null;
    });
    const action = this.data.decisions.findLast((decision) => decision.at <= time)?.action;
    this.readout.textContent = [words.clock(time), ...said, action].filter(Boolean).join("  ·  ");
  }
}

const numeric = (lane) => lane.points.some((point) => typeof point.value === "number");

// The stretches without a hole: a curve over a gap would claim what nobody measured.
function runs(points, { from, to }) {
  const found = [[]], widest = Math.max((to - from) / 40, 120000);
  let last = null;
  for (const point of points) {
    if (typeof point.value !== "number" || (last !== null && point.at - last > widest)) found.push([]);
    if (typeof point.value === "number") {
      found.at(-1).push(point);
      last = point.at;
    }
  }
  return found.filter((run) => run.length);
}
