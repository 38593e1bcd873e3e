// The files that are in what was dropped, pasted or chosen.

// What browsers know no type of, or none by which it can be told from other files.
const SUFFIXES = new RegExp(
  "\\.(aac|ac3|aif[fc]?|alac|ape|au|avi|caf|dts|flac|flv|m4[abv]|mk[av]|mov|mp[234c]|mpe?g|" +
    "og[agv]|opus|tta|voc|w64|wav|webm|wm[av]|wv)$",
  "i",
);

/** Whether a file of a folder is one to send: others are left out without a word. */
export function isSound(file) {
  if (file.name.startsWith(".")) return false; // such as what macOS keeps beside each file
  return /^(audio|video)\//.test(file.type) ? !isList(file) : SUFFIXES.test(file.name);
}

/**
 * The files of a DataTransfer, with those in its folders -> { files, folders }, the number of the
 * latter. What is in folders is only taken if it looks like sound; what was dropped itself always.
 */
export async function dropped(transfer) {
  // All has to be asked for before the first await: the transfer is empty afterwards.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files = [];
  let folders = 0;
  for (const one of found.filter(Boolean)) {
    if (one instanceof File) files.push(one);
    else if (one.isFile) files.push(...(await fileOf(one)));
    else {
      folders += 1;
      files.push(...(await within(one)).filter(isSound));
    }
  }
  return { files, folders };
}

/** Files in the order of their paths, as people count: 2 before 10. */
export function sorted(files) {
  const order = new Intl.Collator(undefined, { numeric: true });
  const path = (file) => file.webkitRelativePath || file.name;
  return [...files].sort((a, b) => order.compare(path(a), path(b)));
}

async function within(folder) {
  const reader = folder.createReader();
  const files = [];
  // A call gives a hundred entries at most, and none at the end.
  for (;;) {
    const entries = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!entries.length) return sorted(files);
    for (const entry of entries) {
      if (entry.isFile) files.push(...(await fileOf(entry)));
      else files.push(...(await within(entry)));
    }
  }
}

/** The file of an entry, or none if it cannot be read. */
function fileOf(entry) {
  return new Promise((resolve) => entry.file((file) => resolve([file]), () => resolve([])));
}

function isList(file) {
  return /mpegurl|scpls/.test(file.type); // a playlist, which has no sound in it
}
