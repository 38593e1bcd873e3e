// How files come to the page: chosen, dropped anywhere, or pasted.

import { say } from "./dom.js";
import { dropped, isSound, sorted } from "./files.js";
import { text } from "./texts.js";

/** Call `found(files)` whenever files are chosen, dropped or pasted; `root` is `#send`. */
export function watchFiles(root, found) {
  const about = root.querySelector("#drop-about");
  const usual = () => (about.textContent = about.dataset.usual ?? "");

  function take(files, folders) {
    if (files.length) {
      usual();
      found(files);
      say(text("said_sent", { count: files.length }));
    } else if (folders) {
      about.textContent = text("nothing_in_folder");
      say(about.textContent);
    }
  }

  for (const kind of ["files", "folder"]) {
    const input = root.querySelector(`#${kind}`);
    root.querySelector(`#choose-${kind}`).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // so that the same file can be chosen again
      if (kind === "files") take(files, 0);
      else take(sorted(files.filter(isSound)), 1);
    });
  }
  watchDrops(async (transfer) => {
    const { files, folders } = await dropped(transfer);
    take(files, folders);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.target.closest?.("input, textarea")) return;
    event.preventDefault();
    take(files, 0);
  });
}

/** The whole page takes drops; `html.dragging` while files are held over it. */
function watchDrops(take) {
  const root = document.documentElement;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const show = (on) => root.classList.toggle("dragging", on);
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) show(false); // it has left the window, not only an element
  });
  addEventListener("drop", (event) => {
    show(false);
    if (!files(event)) return;
    event.preventDefault();
    take(event.dataTransfer);
  });
}
