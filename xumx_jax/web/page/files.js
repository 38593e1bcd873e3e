// The files that are in what was dropped, pasted or chosen.

// What browsers know no type of, or none by which it can be told from other files.
const SUFFIXES = new RegExp(
  "\\.(aac|ac3|aif[fc]?|alac|ape|au|avi|caf|dts|flac|flv|m4[abv]|mk[av]|mov|mp[234c]|mpe?g|" +
