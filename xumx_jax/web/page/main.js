// Starts the page: the songs, and the player of one of them.

import { fill } from "./dom.js";
import { Player } from "./player.js";
import { Server } from "./server.js";
import { Songs } from "./songs.js";

const server = new Server();
fill(document);
const player = new Player(document.querySelector("#player"), server);
const songs = new Songs({
  send: document.querySelector("#send"),
  list: document.querySelector("#songs"),
  server,
});
songs.addEventListener("play", ({ detail, sound }) => player.open(detail, { sound }));
songs.addEventListener("jobs", ({ detail }) => player.update(detail));
songs.addEventListener("removed", ({ detail }) => {
  if (document.querySelector("#player").dataset.job === detail) player.close();
});
document.querySelector("#show-keys").addEventListener("click", () => {
  document.querySelector("#keys").showModal();
});
songs.start();
