// Numbers and times as people read them.

import { text } from "./texts.js";

const language = document.documentElement.lang;
const DAY = 86_400; // seconds

const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(language, { style: "percent" });
const hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const weekdays = new Intl.DateTimeFormat(language, { weekday: "long", ...hour });
const dates = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", ...hour });

/** "42%" of 0.42; rounded down, so that 100% is the end. */
export function percent(share) {
  return percents.format(Math.floor(share * 100) / 100);
}

/** "18 s", "3 min", "1 h 20 min". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return text("seconds", { number: whole });
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return text("minutes", { number: minutes });
  const values = { number: Math.floor(minutes / 60), minutes: minutes % 60 };
  return text(values.minutes ? "hours_minutes" : "hours", values);
}

/** "3:51", "1:03:51". */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** "Tuesday 14:00" or "3 May 14:00" of a Unix time. */
export function moment(unix) {
  const near = unix - Date.now() / 1000 < 6 * DAY;
  return (near ? weekdays : dates).format(new Date(unix * 1000));
}

/** "1 GB", "600 MB". */
export function size(bytes) {
  const mega = bytes / 2 ** 20;
  if (mega < 1024) return text("megabytes", { number: number.format(mega) });
  return text("gigabytes", { number: number.format(mega / 1024) });
}
