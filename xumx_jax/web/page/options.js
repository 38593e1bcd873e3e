// How songs are separated: a form that is made of what the server offers, and remembered.

import { element } from "./dom.js";
import { keep, kept } from "./kept.js";
import { ordered } from "./stems.js";
import { text } from "./texts.js";
import { duration, size } from "./words.js";

const KEPT = "xumx.options";
// Those of the server: what is left at its default is not sent.
const DEFAULTS = { niter: 1, alpha: 1, softmask: false, residual: false, format: "wav" };

/** The form `#options`. */
export class Options {
  #form;
  #fields;
  #some;
  #about;
  #models = null;
  #limits = null;
  #kept = kept(KEPT) ?? {};

  constructor(form) {
    this.#form = form;
    this.#fields = form.elements;
    this.#some = form.querySelector("#some");
    this.#about = form.querySelector("#model-about");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => this.#changed(event.target));
  }

  /** Show what the server offers: the answers of /models and /limits. */
  fill(models, limits) {
    [this.#models, this.#limits] = [models, limits];
    const { model, choice, format } = this.#fields;
    model.replaceChildren(
      ...models.tasks.map((task) => {
        const label = labelled(task, models.tasks);
        const names = task.models.map((one) => element("option", { text: one.name }));
        return element("optgroup", { label }, ...names);
      }),
    );
    choice.replaceChildren(
      ...["all_stems", "some_stems", "two_stems"].map((key) =>
        element("option", { value: key, text: text(key) }),
      ),
    );
    const formats = Object.keys(limits.formats);
    format.replaceChildren(...formats.map((name) => element("option", { text: name })));
    select(model, this.#kept.model, models.default);
    select(choice, this.#kept.choice, "all_stems");
    select(format, this.#kept.format, DEFAULTS.format);
    for (const name of ["niter", "alpha"]) {
      this.#fields[name].value = this.#kept[name] ?? DEFAULTS[name];
    }
    for (const name of ["softmask", "residual"]) {
      this.#fields[name].checked = this.#kept[name] ?? DEFAULTS[name];
    }
    const more = ["niter", "alpha", "softmask", "residual"];
    const changed = more.some((name) => (this.#kept[name] ?? DEFAULTS[name]) !== DEFAULTS[name]);
    this.#form.querySelector("details").open = changed;
    this.#showFormat();
    this.#showModel();
  }

  /** Parameters of a job that differ from what the server does by itself; null before `fill`. */
  get query() {
    if (!this.#models) return null;
    const chosen = this.#chosen();
    const { model, two, some, bits, bitrate } = chosen;
    const query = {};
    if (model !== this.#models.default) query.model = model;
    if (chosen.choice === "two_stems" && two) query.two_stems = two;
    if (chosen.choice === "some_stems" && some.length) query.stems = some.join(",");
    for (const [name, usual] of Object.entries(DEFAULTS)) {
      if (chosen[name] !== usual) query[name] = String(chosen[name]);
    }
    if (bits) query.bits = bits;
    if (bitrate) query.bitrate = bitrate;
    return query;
  }

  #chosen() {
    const fields = this.#fields;
    const values = { choice: fields.choice.value };
    for (const name of ["model", "format"]) values[name] = fields[name].value;
    for (const name of ["niter", "alpha"]) values[name] = fields[name].valueAsNumber;
    for (const name of ["softmask", "residual"]) values[name] = fields[name].checked;
    const { format } = values;
    const bits = this.#limits.formats[format];
    if (bits.length && fields.bits.value !== bits[0]) values.bits = fields.bits.value;
    const rates = this.#limits.bitrates[format];
    const rate = fields.bitrate.valueAsNumber;
    if (rates && !Number.isNaN(rate) && rate !== rates[0]) values.bitrate = rate;
    const typed = this.#some.querySelector("input[type=text]")?.value ?? "";
    const checked = [...this.#some.querySelectorAll("input:checked")].map((one) => one.value);
    const names = checked.length ? checked : typed.split(",").map((name) => name.trim());
    const found = names.filter(Boolean);
    values.some = values.choice === "some_stems" ? found : (this.#kept.some ?? []);
    values.two = values.choice === "two_stems" ? found[0] : this.#kept.two;
    for (const name of ["niter", "alpha"]) {
      if (Number.isNaN(values[name])) values[name] = DEFAULTS[name]; // an empty field
    }
    return values;
  }

  #changed(target) {
    const stems = this.#some.contains(target);
    // One stem is the least that makes a job.
    if (stems && target.type === "checkbox" && !this.#some.querySelector(":checked")) {
      target.checked = true;
    }
    if (target.name === "format") this.#showFormat();
    this.#kept = this.#chosen();
    keep(KEPT, this.#kept);
    if (["model", "choice", "residual"].includes(target.name)) this.#showModel();
  }

  #showFormat() {
    const { format, bits, bitrate } = this.#fields;
    const known = this.#limits.formats[format.value];
    bits.replaceChildren(
      ...known.map((value) =>
        element("option", { value, text: value === "32f" ? text("bits_float") : value }),
      ),
    );
    select(bits, this.#kept.bits, known[0]);
    bits.closest("label").hidden = known.length === 0;
    const rates = this.#limits.bitrates[format.value];
    bitrate.closest("label").hidden = !rates;
    if (!rates) return;
    [bitrate.value, bitrate.min, bitrate.max] = rates;
    const before = this.#kept.format === format.value ? this.#kept.bitrate : null;
    if (before >= rates[1] && before <= rates[2]) bitrate.value = before;
  }

  #showModel() {
    const name = this.#fields.model.value;
    const task = this.#models.tasks.find((one) => one.models.some((model) => model.name === name));
    const model = task.models.find((one) => one.name === name);
    const parts = [sentence(model.what)];
    if (model.mean_sdr_db !== null) {
      const key = model.protocol === "whole songs" ? "score_of_songs" : "score";
      parts.push(text(key, { score: model.mean_sdr_db.toFixed(2) }));
    }
    if (model.seconds_per_minute) {
      const key = model.measured_on === "cpu" ? "takes_on_cpu" : "takes";
      parts.push(text(key, { time: duration(Math.ceil(model.seconds_per_minute)) }));
    }
    if (model.licence) parts.push(text("licence", { licence: model.licence }));
    if (!model.here) {
      const known = model.megabytes && size(model.megabytes * 2 ** 20);
      parts.push(known ? text("fetched_size", { size: known }) : text("fetched"));
    }
    this.#about.textContent = parts.map((part) => part.replace(/\.?$/, ".")).join(" ");
    const residual = this.#fields.residual.checked ? [task.residual] : [];
    this.#showStems(task.stems && [...ordered(task.stems), ...residual]);
  }

  #showStems(names) {
    const { choice } = this.#fields;
    const two = choice.value === "two_stems";
    const before = two ? [this.#kept.two] : (this.#kept.some ?? []);
    const legend = this.#some.querySelector("legend");
    this.#some.hidden = choice.value === "all_stems";
    if (this.#some.hidden) return this.#some.replaceChildren(legend);
    if (!names) return this.#some.replaceChildren(legend, typed(two, before));
    const usual = two ? names.slice(0, 1) : names;
    const known = before.filter((name) => names.includes(name));
    const on = known.length ? known : usual;
    const boxes = names.map((name) => {
      const type = two ? "radio" : "checkbox";
      const box = element("input", { type, name: "stem", value: name, checked: on.includes(name) });
      return element("label", { class: "check" }, box, element("span", { text: name }));
    });
    return this.#some.replaceChildren(legend, ...boxes);
  }
}

/** What a group of models separates; the task as well, where two have the same stems. */
function labelled(task, tasks) {
  if (!task.stems) return text("separates_unknown");
  const names = ordered(task.stems).join(", ");
  const same = tasks.filter((one) => one.stems && ordered(one.stems).join(", ") === names);
  return same.length > 1 && task.what ? `${names}: ${task.what}` : names;
}

/** A field for the stems of a model that nobody knows before it is loaded. */
function typed(two, before) {
  const label = text(two ? "name_of_stem" : "names_of_stems");
  const value = before.filter(Boolean).join(",");
  const field = element("input", { type: "text", name: "stem", value, spellcheck: "false" });
  return element("label", {}, element("span", { text: label }), field);
}

function sentence(words) {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

function select(field, wanted, usual) {
  const values = [...field.options].map((option) => option.value);
  field.value = values.includes(wanted) ? wanted : usual;
}
