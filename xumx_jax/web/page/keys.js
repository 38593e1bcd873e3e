// The keyboard, and the dialog that explains it.

import { element } from "./dom.js";
import { asSpeed, SPEEDS } from "./settings.js";
import { text } from "./texts.js";

const STEP = 0.05; // of the volume
// What sliders do with keys themselves; they leave the others to the song.
const OF_SLIDERS = /^(Arrow|Home|End|Page)/;
const HELP = [
  [text("key_space")], ["1 – 9"], ["⇧ 1 – 9"], ["0"], ["←", "→"], ["⇧ ←", "⇧ →"],
  [text("key_home"), text("key_end")],
  ["↑", "↓"], ["L"], ["[", "]"], ["-", "="], ["?"],
];

/** Let the keyboard act on `desk()`, the desk of the song that is open, if one is. */
export function listen(desk, signal) {
  const act = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      explain();
    } else {
      const done = desk() && action(event, desk());
      if (!done) return;
      if (!event.repeat || done.repeats) done();
    }
    event.preventDefault();
  };
  addEventListener("keydown", act, { signal });
}

/** What a key does, as a function; `repeats` if it does so for as long as it is held. */
function action(event, desk) {
  const { code, key, shiftKey, target } = event;
  const { settings, song } = desk;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code);
  if (digit && (code.startsWith("Digit") || /^\d$/.test(key))) {
    const name = song.stems[digit[1] - 1];
    if (name === undefined) return null;
    return () => (shiftKey ? desk.solo(name) : desk.mute(name));
  }
  if (key === " ") return target.closest?.("button, a, summary") ? null : () => desk.toggle();
  if (code === "Digit0" && !shiftKey) return () => desk.reset();
  if (letter(event) === "l") return () => desk.mark();
  const repeated = {
    ArrowLeft: () => desk.move(shiftKey ? -1 : -5),
    ArrowRight: () => desk.move(shiftKey ? 1 : 5),
    ArrowUp: () => desk.setVolume(bounded(settings.volume + STEP)),
    ArrowDown: () => desk.setVolume(bounded(settings.volume - STEP)),
    Home: () => desk.seek(0),
    End: () => desk.seek(Infinity),
    "[": () => desk.setSpeed(asSpeed(settings.speed - SPEEDS.step)),
    "]": () => desk.setSpeed(asSpeed(settings.speed + SPEEDS.step)),
    "-": () => desk.setTranspose(settings.transpose - 1),
    "=": () => desk.setTranspose(settings.transpose + 1),
    "+": () => desk.setTranspose(settings.transpose + 1),
  };
  const found = repeated[key] ?? repeated[{ BracketLeft: "[", BracketRight: "]" }[code]];
  return found ? Object.assign(found, { repeats: true }) : null;
}

/** The letter of a key; where letters are not Latin, the one that is at its place elsewhere. */
function letter({ key, code }) {
  return /^[a-z]$/i.test(key) ? key.toLowerCase() : code.replace(/^Key/, "").toLowerCase();
}

function isTyping({ target, key }) {
  if (!(target instanceof Element)) return false;
  if (target.matches("input[type=range]")) {
    // The seek bar goes by seconds, as the same keys do elsewhere; those of pages it has itself.
    return OF_SLIDERS.test(key) && !(target.matches(".seek") && !key.startsWith("Page"));
  }
  return target.matches("input, select, textarea, [contenteditable], [contenteditable] *");
}

function bounded(volume) {
  return Math.round(100 * Math.min(2, Math.max(0, volume))) / 100;
}

/** Open the dialog that says what the keys do. */
export function explain() {
  const dialog = document.querySelector("#keys");
  const rows = HELP.map((keys, index) => {
    const names = keys.map((key) => element("kbd", { text: key }));
    const meaning = element("td", { text: text(`keys_${index}`) });
    return element("tr", {}, element("td", {}, ...names), meaning);
  });
  const close = element("button", { type: "submit", class: "main", text: text("close") });
  dialog.setAttribute("aria-labelledby", "keys-title");
  dialog.replaceChildren(
    element("h2", { id: "keys-title", text: text("keys") }),
    element("table", {}, element("tbody", {}, ...rows)),
    element("p", { class: "small", text: text("keys_solo") }),
    element("form", { method: "dialog" }, close),
  );
  dialog.showModal();
}
