// Starts the page: the songs, and the player of one of them.

import { Player } from "./player.js";
import { Server } from "./server.js";
import { Songs } from "./songs.js";

const server = new Server();
const player = new Player(document.querySelector("#player"), server);
const songs = new Songs({
  send: document.querySelector("#send"),
  list: document.querySelector("#songs"),
  server,
});
songs.addEventListener("play", (event) => player.open(event.detail));
songs.addEventListener("jobs", (event) => player.update(event.detail));
songs.start();
