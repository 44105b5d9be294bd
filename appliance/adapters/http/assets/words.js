// Owns how things are put into words: numbers, ages, times, names of channels. Never in here: the document.

// The home's own clock, as the daemon tells it: it may be set otherwise than this browser's, and a demonstration's runs faster.
let told = { real: performance.now(), home: Date.now(), rate: 1, sure: false };

export const now = () => told.home + (performance.now() - told.real) * told.rate;

export const rate = () => told.rate;

export function tell(time) {
  const home = Date.parse(time), real = performance.now(), passed = real - told.real;
  if (told.sure && passed < 2000) return;
  told = { real, home, rate: told.sure ? Math.max(0, (home - told.home) / passed) : 1, sure: true };
}

const NAMES = {
  pm2_5: "Fine dust", pm10: "Coarse dust", co2: "CO₂", voc: "VOC", voc_index: "VOC index", temperature: "Temperature",
  humidity: "Humidity", presence: "Presence", power: "Power", illuminance: "Light", pressure: "Pressure", co: "CO",
};

export const name = (channel) => NAMES[channel] ?? capital(channel.replaceAll("_", " "));

export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

export function number(value) {
  if (typeof value !== "number") return value ?? "–";
  const size = Math.abs(value);
  return value.toLocaleString(undefined, { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2 });
}

export function age(seconds) {
  if (seconds === null) return "never heard";
  if (seconds < 5) return "just now";
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

export const clock = (time) => new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

export function day(time) {
  const then = new Date(time), today = new Date(now());
  if (then.toDateString() === today.toDateString()) return clock(time);
  const tomorrow = new Date(today.getFullYear(), today.getMonth(), today.getDate() + 1);
  if (then.toDateString() === tomorrow.toDateString()) return `tomorrow ${clock(time)}`;
  return `${then.toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" })} ${clock(time)}`;
}

export function interval(voice) {
  return voice.at_least === voice.at_most ? `exactly ${voice.at_least}` : `${voice.at_least} to ${voice.at_most}`;
}

// The next seven in the morning, and how to say it. Always less than a day away, which is as long as a word may hold.
export function morning() {
  const present = new Date(now()), at = new Date(present.getFullYear(), present.getMonth(), present.getDate(), 7);
  if (at <= present) at.setDate(at.getDate() + 1);
  const soon = at.toDateString() === present.toDateString();
  return { seconds: Math.max(60, Math.ceil((at - present) / 1000)), words: soon ? `until ${clock(at)}` : `until tomorrow ${clock(at)}` };
}
