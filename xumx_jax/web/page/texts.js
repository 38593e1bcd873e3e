// Every text that the page shows. To translate the page, translate this file.

export const TEXTS = {
  // -- songs: what is sent and what waits
  // -- player
  pause: "Pause",
  seek: "Place in the song",
  place: "{here} of {end}",
  loop: "Loop",
  loop_start: "Start of the loop",
  loop_end: "End of the loop",
  loop_start_here: "The loop starts here (L)",
  loop_end_here: "The loop ends here (L)",
  loop_start_letter: "A",
  loop_end_letter: "B",
  loop_clear: "No loop (L)",
  speed: "Speed",
  transpose: "Key",
  volume: "Volume",
  reset: "{name}: back to normal",
  mute: "Mute {name}",
  mute_letter: "M",
  solo: "Solo {name}",
  solo_letter: "S",
  gain_of: "Volume of {name}",
  pan_of: "Pan of {name}",
  left_letter: "L",
  right_letter: "R",
  centre: "Centre",
  to_left: "{percent} % left",
  to_right: "{percent} % right",
  spectrum_of: "Spectrogram of {name}",
  spectrum_alt: "Spectrogram of {name}: time to the right, pitch upwards",
  no_spectrum: "The spectrogram of {name} could not be made.",
  download_form: "Format of downloads",
  download_as: "As",
  download_of: "Download {name}",
  download_mix: "This balance",
  download_all: "All stems (zip)",
  download_region: "Only the loop, {from} to {to}",
  download_silent: "No stem is heard, so there is no balance to download.",
  form: "{format}",
  form_bits: "{format}, {bits} bits",
  form_float: "{format}, {bits} bits, float",
  copy_link: "Copy link",
  copied: "The link is copied. It has the balance, the loop and the place in it.",
  copy_this: "Copy this link:",
  reset_balance: "Reset balance",
  example_about:
    "This is a bundled clip, already separated. Drop a song above to hear yours.",
  still_separated: "Still being separated, {percent}. What is there can be heard already.",
  separated_again: "Is separated again, since the server was restarted.",
  rate_refused: "This browser cannot play sound of {rate} Hz; the song can be downloaded.",
  close: "Close",
  keys_0: "Play, pause",
  keys_1: "Mute a stem",
  keys_2: "Solo a stem",
  keys_3: "Reset the balance",
  keys_4: "5 seconds back, forward",
  keys_5: "1 second back, forward",
  keys_6: "To the start, to the end",
  keys_7: "Louder, quieter",
  keys_8: "Loop: set its start, its end, no loop",
  keys_9: "Slower, faster",
  keys_10: "Lower, higher by a semitone",
  keys_11: "These keys",
  keys_solo:
    "With any stem soloed only soloed ones are heard. A muted stem is silent even if it is soloed.",
};

/** The text of a key, with the values that it names in {braces}. */
export function text(key, values = {}) {
  const found = TEXTS[key];
  if (found === undefined) throw new Error(`no text ${key}`);
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
