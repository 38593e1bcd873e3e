// Starts the page: the songs, and the player of one of them.

import { fill } from "./dom.js";
import { Server } from "./server.js";
import { Songs } from "./songs.js";

const server = new Server();
fill(document);
const place = document.querySelector("#player");
let player = null; // it comes with the first song that can be played

function load() {
  player ??= import("./player.js").then(({ Player }) => new Player(place, server));
  return player;
}

if (location.hash.includes("job=")) load(); // there will be one
const songs = new Songs({
  send: document.querySelector("#send"),
  list: document.querySelector("#songs"),
  server,
});
let wanted = null; // id of the job that it shows, or will show once it is there
songs.addEventListener("play", async ({ detail, sound }) => {
  wanted = detail.id;
  const loaded = await load();
  if (wanted === detail.id) loaded.open(detail, { sound });
});
songs.addEventListener("jobs", async ({ detail }) => (await player)?.update(detail));
songs.addEventListener("removed", async ({ detail }) => {
  if (wanted !== detail) return;
  wanted = null;
  const loaded = await player;
  if (wanted === null) loaded.close();
});
document.querySelector("#show-keys").addEventListener("click", async () => {
  const { explain } = await import("./keys.js");
  explain();
});
songs.start();
