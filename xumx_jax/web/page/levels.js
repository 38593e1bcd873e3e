// Levels, steps and places in a song, as people read them.

import { clock } from "./words.js";

/** A gain in decibels: 0.5 is "−6.0 dB". */
export function decibels(gain) {
  return gain === 0 ? "−∞ dB" : `${signed(20 * Math.log10(gain), 1)} dB`;
}

/** A number with a true minus, and a plus where it is above zero. */
export function signed(number, digits = 0) {
  const shown = Math.abs(number).toFixed(digits);
  if (Number(shown) === 0) return shown;
  return `${number < 0 ? "−" : "+"}${shown}`;
}

/** "1.25×" */
export function times(speed) {
  return `${speed.toFixed(2)}×`;
}

/** "1:23.4" */
export function precise(seconds) {
  const tenths = Math.floor(Math.max(0, seconds) * 10 + 1e-6);
  return `${clock(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** Where a frame is: "1:23", or with tenths in a song that is over in seconds. */
export function place(frame, { rate, frames, ready }) {
  const short = (frames ?? ready) < 10 * rate;
  return (short ? precise : clock)(Math.max(0, frame) / rate + 1e-6);
}
