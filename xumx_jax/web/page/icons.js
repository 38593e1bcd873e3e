// Buttons with a picture, whose label says what they do.

import { element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
// Paths in a square of 24.
const PATHS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  download: "M11 4h2v8h3l-4 5-4-5h3zM5 18h14v2H5z",
  spectrum: "M4 14h2v6H4zM8 9h2v11H8zM12 4h2v16h-2zM16 11h2v9h-2zM20 16h2v4h-2z",
  close: "M6 5 12 11 18 5 19 6 13 12 19 18 18 19 12 13 6 19 5 18 11 12 5 6z",
};

/** A picture by its name, for who sees it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon icon-${name}`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button; what it shows is a picture or a letter, what it does its label says. */
export function labelled(label, shown, act, attributes = {}) {
  const said = { type: "button", "aria-label": label, title: label };
  return element("button", { ...said, onclick: act, ...attributes }, shown);
}
