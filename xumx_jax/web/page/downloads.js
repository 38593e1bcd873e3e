// Downloads: stems, all of them as a zip, and the balance that is heard, as plain links.

import { element, set } from "./dom.js";
import { keep, kept } from "./kept.js";
import { precise } from "./levels.js";
import { text } from "./texts.js";

const ROOT = "/api/v1/jobs";
const KEY = "xumx.download"; // the form that was last chosen
const TYPES = {
  wav: "audio/wav", flac: "audio/flac", mp3: "audio/mpeg", ogg: "audio/ogg", m4a: "audio/mp4",
  opus: "audio/ogg", zip: "application/zip",
}; // fmt: skip

/** The menu of what can be downloaded of a job that is done. */
export class Downloads {
  #job;
  #desk;
  #rows;
  #server;
  #tell;
  #form = element("select", { "aria-label": text("download_form") });
  #region = element("input", { type: "checkbox" });
  #regionText = element("span");
  #mix;
  #zip;
  #stems;
  #more = element("span", { class: "small" });

  /** `tell` shows a line that says why a download cannot be had. */
  constructor(job, desk, rows, { server, tell, signal }) {
    this.#job = job;
    this.#desk = desk;
    this.#rows = rows;
    this.#server = server;
    this.#tell = tell;
    this.#mix = this.#link(text("download_mix"));
    this.#zip = this.#link(text("download_all"));
    // A link in the menu, and one in the row.
    this.#stems = desk.song.stems.map((name) => {
      const inRow = rows.of(name).download;
      inRow.setAttribute("aria-label", text("download_of", { name }));
      inRow.title = text("download_of", { name });
      this.#prepare(inRow);
      return { name, links: [this.#link(name), inRow] };
    });
    const items = [this.#mix, ...this.#stems.map(({ links }) => links[0]), this.#zip];
    const region = element("label", { class: "check" }, this.#region, this.#regionText);
    this.element = element(
      "details",
      { class: "menu" },
      element("summary", { class: "button", text: text("download") }),
      element(
        "div",
        { class: "panel" },
        element("label", { class: "form" }, text("download_as"), this.#form),
        region,
        element("ul", {}, ...items.map((link) => element("li", {}, link))),
        this.#more,
      ),
    );
    region.hidden = true;
    this.#form.addEventListener("change", () => this.#choose());
    this.#region.addEventListener("change", () => this.show());
    desk.addEventListener("change", () => this.show());
    const outside = (event) => {
      if (!this.element.contains(event.target)) this.element.open = false;
    };
    addEventListener("pointerdown", outside, { signal });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      this.element.querySelector("summary").focus();
    });
    this.#fill();
  }

  /** Let the links follow the balance. */
  show() {
    const { settings, song } = this.#desk;
    const loop = settings.loop;
    this.#region.parentElement.hidden = loop === null;
    if (loop) {
      const [from, to] = loop.map((frame) => precise(frame / song.rate));
      set(this.#regionText, "textContent", text("download_region", { from, to }));
    }
    const only = loop && this.#region.checked ? { start: loop[0], frames: loop[1] - loop[0] } : {};
    const [format, bits] = this.#form.value.split(" ");
    const form = bits ? { bits } : {};
    const base = `${ROOT}/${this.#job.id}`;
    for (const { name, links } of this.#stems) {
      const path = `${base}/stems/${encodeURIComponent(name)}.${format}`;
      for (const link of links) this.#aim(link, path, { ...form, ...only }, `(${name}).${format}`);
    }
    this.#aim(this.#zip, `${base}/all.zip`, { format, ...form }, ".zip");
    // In the order of the job, in which the server adds them: sums of floats depend on it.
    const names = this.#job.stems.map(({ name }) => name);
    const parts = names.filter((name) => this.#desk.heard(name) > 0).map((name) => {
      const { pan } = settings.parts[name];
      return [name, pan ? `${this.#desk.heard(name)},${pan}` : String(this.#desk.heard(name))];
    });
    const change = {};
    if (settings.speed !== 1) change.speed = settings.speed;
    if (settings.transpose) change.transpose = settings.transpose;
    const query = { ...form, ...Object.fromEntries(parts), ...only, ...change };
    const heard = parts.map(([name]) => name).join("+");
    if (parts.length) this.#aim(this.#mix, `${base}/mix.${format}`, query, `(${heard}).${format}`);
    else this.#mix.removeAttribute("href");
    this.#mix.setAttribute("aria-disabled", String(parts.length === 0));
    set(this.#more, "textContent", parts.length ? "" : text("download_silent"));
  }

  async #fill() {
    const { format, bits } = this.#job.options;
    this.#offer({ [format]: bits ? [bits] : [] });
    try {
      this.#offer((await this.#server.limits()).formats);
    } catch {
      // the job's own format can be had without knowing the others
    }
  }

  // Let these formats be chosen, {format: its bits}.
  #offer(formats) {
    this.#form.replaceChildren();
    for (const [format, depths] of Object.entries(formats)) {
      for (const bits of depths.length ? depths : [null]) {
        const key = bits ? (bits.endsWith("f") ? "form_float" : "form_bits") : "form";
        const words = text(key, { format: format.toUpperCase(), bits: parseInt(bits, 10) });
        const value = bits ? `${format} ${bits}` : format;
        this.#form.append(element("option", { value, text: words }));
      }
    }
    const { format, bits } = this.#job.options;
    const values = [...this.#form.options].map((option) => option.value);
    const wanted = [kept(KEY), `${format} ${bits}`, format, `${format} 16`];
    this.#form.value = wanted.find((value) => values.includes(value)) ?? values[0];
    this.show();
  }

  #choose() {
    keep(KEY, this.#form.value);
    this.show();
  }

  #aim(link, path, query, end) {
    const said = new URLSearchParams(query).toString().replaceAll("%2C", ",");
    const href = said ? `${path}?${said}` : path;
    if (link.getAttribute("href") !== href) link.setAttribute("href", href);
    link.dataset.end = end;
  }

  #link(words) {
    const link = element("a", { download: "", text: words });
    this.#prepare(link);
    return link;
  }

  #prepare(link) {
    link.addEventListener("click", (event) => this.#click(event, link));
    // Chrome makes a file of what is dragged to a folder or into another program.
    link.addEventListener("dragstart", (event) => {
      const name = `${songName(this.#job.name).replace(/[<>:"/\\|?*]/g, "_")} ${link.dataset.end}`;
      const format = link.dataset.end.split(".").at(-1);
      const file = `${TYPES[format]}:${name.replace(" .", ".")}:${link.href}`;
      event.dataTransfer.setData("DownloadURL", file);
    });
  }

  // What is not there any more would be downloaded as an error, or shown as JSON; so ask first.
  async #click(event, link) {
    if (!link.href) return event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return undefined;
    event.preventDefault();
    const { href } = link;
    try {
      const job = await this.#server.job(this.#job.id);
      if (job.state !== "done") return this.#tell(text("gone"));
    } catch (error) {
      return this.#tell(error.message);
    }
    return element("a", { href, download: "" }).click();
  }
}

/** What a song is called, of the name of its file. */
export function songName(name) {
  return name.split(/[/\\]/).at(-1).replace(/(?<=.)\.[^.]*$/, "");
}
