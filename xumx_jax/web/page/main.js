// Starts the page: the songs, and the player of one of them.

import { fill } from "./dom.js";
import { isHeard } from "./jobs.js";
import { Server } from "./server.js";
import { Songs } from "./songs.js";

const server = new Server();
fill(document);
const place = document.querySelector("#player");
let player = null; // a promise of it, which comes with the first song that can be played
let wanted = null; // id of the job that it shows, or will show once it is there

/** A module that is wanted by now, or undefined: then the server is away, as the page says. */
async function fetched(path) {
  try {
    return await import(path);
  } catch {
    server.retry();
    return undefined;
  }
}

function load() {
  player ??= fetched("./player.js").then((module) => {
    if (module) return new module.Player(place, server);
    player = null; // it is tried again
    return null;
  });
  return player;
}

async function show(job, sound) {
  wanted = job.id;
  const loaded = await load();
  if (wanted === job.id) loaded?.open(job, { sound });
}

if (location.hash.includes("job=")) load(); // there will be one
const songs = new Songs({
  send: document.querySelector("#send"),
  list: document.querySelector("#songs"),
  server,
});
songs.addEventListener("play", ({ detail, sound }) => show(detail, sound));
songs.addEventListener("jobs", async ({ detail }) => {
  const missed = player ? null : detail.find((job) => job.id === wanted && isHeard(job));
  if (missed) show(missed, false);
  else (await player)?.update(detail);
});
songs.addEventListener("removed", async ({ detail }) => {
  if (wanted !== detail) return;
  wanted = null;
  const loaded = await player;
  if (wanted === null) loaded?.close();
});
document.querySelector("#show-keys").addEventListener("click", async () => {
  (await fetched("./keys.js"))?.explain();
});
songs.start();
