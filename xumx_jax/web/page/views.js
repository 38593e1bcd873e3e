// What a row shows of an upload or a job: words, progress and buttons, without any element.

import { isHeard } from "./jobs.js";
import { text } from "./texts.js";
import { clock, duration, moment, percent } from "./words.js";

/**
 * The view of a job.
 *
 * `queue` are the ids of those that wait, if they can be moved; `locked`: nothing can be changed.
 */
export function viewOfJob(job, { queue, locked }) {
  const place = queue.indexOf(job.id);
  const ours = !locked && !job.example;
  const active = job.state === "queued" || job.state === "running";
  const words = wordsOf(job);
  return {
    name: job.name,
    state: job.state,
    words: job.example ? exampleWords(job, words) : words,
    code: job.error?.code ?? null,
    share: job.state === "running" ? job.progress : null,
    warnings: job.warnings,
    zip: job.all,
    buttons: {
      play: job.state === "done",
      live: job.state === "running" && isHeard(job),
      up: place > 0,
      down: place >= 0 && place < queue.length - 1,
      cancel: active && ours,
      remove: job.state === "done" && ours,
      dismiss: ["failed", "cancelled", "expired"].includes(job.state) && ours,
    },
  };
}

/** The view of a job that the server does not know (any more). */
export function viewOfGone(id) {
  return {
    name: id.slice(0, 8),
    state: "gone",
    words: text("gone"),
    code: "unknown",
    buttons: { dismiss: true },
  };
}

/** The view of a file that is not with the server yet. */
export function viewOfUpload(upload) {
  const failed = upload.state === "failed";
  const sending = upload.state === "sending";
  return {
    name: upload.name,
    state: { waiting: "waiting", sending: "uploading", failed: "failed" }[upload.state],
    words: failed ? upload.error.message : wordsOfUpload(upload),
    code: failed ? upload.error.code : null,
    share: sending ? upload.share : null,
    buttons: { again: failed, dismiss: failed, cancel: sending, remove: !failed && !sending },
  };
}

function wordsOf(job) {
  const length = job.frames ? clock(job.frames / job.rate) : "";
  switch (job.state) {
    case "uploading":
      return text("uploading");
    case "queued":
      return job.ahead ? text("waits", { count: job.ahead }) : text("next");
    case "running":
      return runningWords(job);
    case "done":
      if (job.expires === null) return text("ready", { length });
      return text("kept", { length, time: moment(job.expires) });
    case "failed":
      return job.error?.message ?? "";
    default:
      return text(job.state);
  }
}

function runningWords(job) {
  if (!job.progress) return text("starts");
  const share = percent(job.progress);
  if (job.eta_seconds === null) return share;
  return text("runs", { percent: share, time: duration(Math.max(1, job.eta_seconds)) });
}

function exampleWords(job, words) {
  if (job.state === "done") return text("example");
  return job.state === "failed" ? words : text("example_made", { state: words });
}

function wordsOfUpload(upload) {
  if (upload.state === "sending") {
    return upload.share < 1 ? `${text("sends")}, ${percent(upload.share)}` : text("looked_at");
  }
  if (upload.reason === "server") return text("waits_for_server");
  if (upload.reason !== "room") return text("waits_to_send");
  const left = (upload.until - Date.now()) / 1000;
  return text("waits_for_room", { time: duration(Math.max(1, left)) });
}
