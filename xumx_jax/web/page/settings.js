// What a listener has set for a song, and how links say it: "vocals=0.8,-0.3&mute=drums".

export const MOST_GAIN = 2; // of the sliders; links may say up to MOST
export const SPEEDS = { least: 0.5, most: 2, step: 0.05 };
export const SEMITONES = 12; // up and down
const MOST = 10;
const PLAIN = /^-?\d+(\.\d+)?$/;
// What a link says beside the stems. A stem that is called so is not told in links.
const WORDS = ["job", "mute", "solo", "loop", "speed", "transpose", "volume", "at"];

/** Settings of a song with these stems, as it was separated. */
export function plain(stems) {
  const parts = {};
  for (const name of stems) parts[name] = { gain: 1, pan: 0, mute: false, solo: false };
  return { parts, volume: 1, loop: null, speed: 1, transpose: 0, at: 0 };
}

/** The gain at which a stem is heard: muted ones are silent, and with any solo all others too. */
export function heard(settings, name) {
  const { gain, mute, solo } = settings.parts[name];
  const others = Object.values(settings.parts).some((part) => part.solo);
  return mute || (others && !solo) ? 0 : gain;
}

/** What differs from a song as it was separated, as the words of a link; may be empty. */
export function toText(settings) {
  const { parts, loop, speed, transpose, volume, at } = settings;
  const names = Object.keys(parts).filter((name) => !WORDS.includes(name));
  const said = [];
  for (const name of names) {
    const { gain, pan } = parts[name];
    const value = pan ? `${short(gain)},${short(pan)}` : short(gain);
    if (value !== "1") said.push([name, value]);
  }
  for (const word of ["mute", "solo"]) {
    const found = names.filter((name) => parts[name][word]);
    if (found.length) said.push([word, found.join(",")]);
  }
  if (loop) said.push(["loop", `${loop[0]}-${loop[1]}`]);
  if (speed !== 1) said.push(["speed", short(speed)]);
  if (transpose) said.push(["transpose", String(transpose)]);
  if (volume !== 1) said.push(["volume", short(volume)]);
  if (at) said.push(["at", String(at)]);
  return said.map((pair) => pair.map(encoded).join("=")).join("&");
}

/** The settings that the words of a link describe; what makes no sense is left as it was. */
export function fromText(text, stems, frames) {
  const settings = plain(stems);
  const said = new URLSearchParams(text);
  for (const name of stems.filter((one) => !WORDS.includes(one))) {
    const [gain, pan = 0] = (said.get(name) ?? "").split(",").map((one) => number(one, -1, MOST));
    const part = settings.parts[name];
    if (gain !== null && gain >= 0) part.gain = gain;
    if (pan !== null && Math.abs(pan) <= 1) part.pan = pan;
    for (const word of ["mute", "solo"]) {
      part[word] = (said.get(word) ?? "").split(",").includes(name);
    }
  }
  const [start, end] = (said.get("loop") ?? "").split("-").map((one) => whole(one, 0, frames));
  if (start !== null && end > start) settings.loop = [start, end];
  settings.speed = asSpeed(number(said.get("speed"), SPEEDS.least, SPEEDS.most) ?? 1);
  settings.transpose = whole(said.get("transpose"), -SEMITONES, SEMITONES) ?? 0;
  settings.volume = number(said.get("volume"), 0, MOST) ?? 1;
  settings.at = whole(said.get("at"), 0, frames) ?? 0;
  return settings;
}

/** The nearest speed that there is. */
export function asSpeed(value) {
  const bounded = Math.min(SPEEDS.most, Math.max(SPEEDS.least, value));
  return Math.round(bounded / SPEEDS.step) / Math.round(1 / SPEEDS.step);
}

function number(text, least, most) {
  const value = Number(text);
  return PLAIN.test(text ?? "") && value >= least && value <= most ? value : null;
}

function whole(text, least, most) {
  const value = number(text, least, most);
  return Number.isInteger(value) ? value : null;
}

function short(value) {
  return String(Number(value.toFixed(3)));
}

function encoded(text) {
  return encodeURIComponent(text).replaceAll("%2C", ",");
}
