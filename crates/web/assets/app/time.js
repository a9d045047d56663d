/** Times: nanoseconds since 1970 in UTC, as BigInt. Zones only matter where a time is read or shown. */

export const SECOND = 1_000_000_000n;
export const MINUTE = 60n * SECOND;
export const HOUR = 60n * MINUTE;
export const DAY = 24n * HOUR;
const MS = 1_000_000n;

/** @type {Record<string, bigint>} */
const UNITS = { ns: 1n, us: 1000n, µs: 1000n, ms: MS, s: SECOND, m: MINUTE, min: MINUTE, h: HOUR, d: DAY, w: 7n * DAY };

/** Times that a server can have: 1677 to 2262. @param {bigint} time */
export const isRepresentable = (time) => BigInt.asIntN(64, time) === time;

/** Now, as exact as the browser says it. @returns {bigint} */
export function now() {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}

/** Rounds down, for times before 1970 too. @param {bigint} a @param {bigint} b */
export function floorDiv(a, b) {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

/** `1h30m`, `15 min`; null if it is none. @param {string} text @returns {bigint | null} */
export function parseDuration(text) {
  const compact = text.replaceAll(" ", "");
  if (!/^(\d+(ns|us|µs|ms|min|[smhdw]))+$/.test(compact)) return null;
  let sum = 0n;
  for (const [, count, unit] of compact.matchAll(/(\d+)(ns|us|µs|ms|min|[smhdw])/g)) sum += BigInt(count) * UNITS[unit];
  return sum;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();
/** @param {string} zone */
function wallFormat(zone) {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", era: "short",
      year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}

/** @type {Map<string, bigint>} */
const offsets = new Map();

/** How far a zone is ahead of UTC at that time, in nanoseconds. @param {string} zone @param {bigint} time */
export function offsetAt(zone, time) {
  if (zone === "UTC") return 0n;
  // zones change at quarters of an hour, if at all
  const quarter = floorDiv(time, 15n * MINUTE);
  const key = `${zone} ${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    const ms = Number(quarter) * 900_000;
    /** @type {Record<string, string>} */
    const parts = {};
    for (const { type, value } of wallFormat(zone).formatToParts(ms)) parts[type] = value;
    const year = parts.era === "BC" ? 1 - Number(parts.year) : Number(parts.year);
    const wall = new Date(0);
    wall.setUTCFullYear(year, Number(parts.month) - 1, Number(parts.day));
    wall.setUTCHours(Number(parts.hour), Number(parts.minute), Number(parts.second));
    offset = BigInt(wall.getTime() - ms) * MS;
    if (offsets.size > 10_000) offsets.clear();
    offsets.set(key, offset);
  }
  return offset;
}

/** The instant at which clocks of a zone show that; of two, the first. @param {string} zone @param {bigint} wall */
export function fromWall(zone, wall) {
  const candidates = [offsetAt(zone, wall - DAY), offsetAt(zone, wall + DAY)].map((offset) => wall - offset);
  const fitting = candidates.filter((time) => time + offsetAt(zone, time) === wall);
  // a time that clocks leave out is as much later as they are put forward
  return fitting.length ? fitting.reduce((a, b) => (a < b ? a : b)) : candidates[0];
}

/** @param {string | undefined} digits */
const fraction = (digits) => BigInt((digits ?? "").padEnd(9, "0").slice(0, 9));

/** @param {number} year @param {number} month @param {number} day @returns {bigint | null} */
function date(year, month, day) {
  const made = new Date(0);
  made.setUTCFullYear(year, month - 1, day);
  const isReal = made.getUTCMonth() === month - 1 && made.getUTCDate() === day;
  return isReal ? BigInt(made.getTime()) * MS : null;
}

/** Reads what people type for a time: `now-15m`, RFC 3339, `2026-01-31 12:00`, `14:02`, `yesterday 9:00`, and seconds to
 * nanoseconds since 1970. Null if it is none.
 * @param {string} text @param {bigint} present @param {string} zone @returns {bigint | null} */
export function parseTime(text, present, zone) {
  const time = readTime(text.trim(), present, zone);
  return time !== null && isRepresentable(time) ? time : null;
}

/** @param {string} text @param {bigint} present @param {string} zone @returns {bigint | null} */
function readTime(text, present, zone) {
  const relative = /^now(?:\s*([+-])\s*(.+))?$/i.exec(text);
  if (relative) {
    if (!relative[1]) return present;
    const duration = parseDuration(relative[2]);
    return duration === null ? null : relative[1] === "-" ? present - duration : present + duration;
  }
  const epoch = /^(-?\d{10,19})(?:\.(\d{1,9}))?$/.exec(text);
  if (epoch) {
    const digits = epoch[1].replace("-", "").length;
    if (epoch[2]) return digits > 11 ? null : BigInt(epoch[1]) * SECOND + fraction(epoch[2]);
    return BigInt(epoch[1]) * (digits < 12 ? SECOND : digits < 15 ? MS : digits < 18 ? 1000n : 1n);
  }
  const day = /^(?:(-?\d{4,6})-(\d\d)-(\d\d)|(today|yesterday))?(?:(?:^|[T\s]\s*)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text);
  if (!day || text === "") return null;
  const [, year, month, dayOfMonth, word, hour, minute, second, digits, suffix] = day;
  if (hour !== undefined && (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 59)) return null;
  let midnight;
  if (year !== undefined) {
    midnight = date(Number(year), Number(month), Number(dayOfMonth));
    if (midnight === null) return null;
  } else {
    midnight = floorDiv(present + offsetAt(zone, present), DAY) * DAY;
    if (word?.toLowerCase() === "yesterday") midnight -= DAY;
  }
  const wall = midnight + BigInt(hour ?? 0) * HOUR + BigInt(minute ?? 0) * MINUTE + BigInt(second ?? 0) * SECOND + fraction(digits);
  if (!suffix) return fromWall(zone, wall);
  if (/z/i.test(suffix)) return wall;
  const offset = BigInt(suffix.slice(1, 3)) * HOUR + BigInt(suffix.slice(-2)) * MINUTE;
  return suffix[0] === "-" ? wall + offset : wall - offset;
}

/** Date and time of day as clocks show them. @param {bigint} wall */
function parts(wall) {
  const second = floorDiv(wall, SECOND);
  const iso = new Date(Number(second) * 1000).toISOString();
  const split = iso.indexOf("T");
  return { date: iso.slice(0, split), time: iso.slice(split + 1, split + 9), ns: String(wall - second * SECOND).padStart(9, "0") };
}

/** RFC 3339 in UTC with nine digits. @param {bigint} time */
export function toRfc3339(time) {
  const { date, time: clock, ns } = parts(time);
  return `${date}T${clock}.${ns}Z`;
}

/** `+02:00`. @param {bigint} offset */
export function formatOffset(offset) {
  const minutes = Number((offset < 0n ? -offset : offset) / MINUTE);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${offset < 0n ? "−" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** In a zone: date, time of day, and nine digits in groups of three. @param {bigint} time @param {string} zone */
export function inZone(time, zone) {
  const { date, time: clock, ns } = parts(time + offsetAt(zone, time));
  return { date, clock, ms: ns.slice(0, 3), us: ns.slice(3, 6), ns: ns.slice(6) };
}

/** With as many digits as are needed. @param {bigint} time @param {string} zone */
export function formatTime(time, zone) {
  const { date, clock, ms, us, ns } = inZone(time, zone);
  const digits = (ms + us + ns).replace(/(000){1,3}$/, "");
  return `${date} ${clock}${digits ? `.${digits}` : ""}`;
}

const STEPS = [1n, 2n, 5n, 10n, 15n, 30n].flatMap((n) => [n * SECOND, n * MINUTE]).concat(
  [1n, 2n, 3n, 6n, 12n].map((n) => n * HOUR), [1n, 2n, 7n, 14n, 28n].map((n) => n * DAY)).sort((a, b) => (a < b ? -1 : 1));

/** The smallest round duration that is at least so long. @param {bigint} least */
export function roundStep(least) {
  for (let power = 1n; power < SECOND; power *= 10n) {
    for (const n of [1n, 2n, 5n]) if (n * power >= least) return n * power;
  }
  return STEPS.find((step) => step >= least) ?? ((least - 1n) / DAY + 1n) * DAY;
}

/** The round times of a range: as clocks of the zone show them, at most so many. @param {bigint} begin @param {bigint} end @param {number} most @param {string} zone */
export function roundTimes(begin, end, most, zone) {
  const step = roundStep((end - begin) / BigInt(Math.max(1, most)) + 1n);
  const times = [];
  const offset = offsetAt(zone, begin);
  for (let wall = floorDiv(begin + offset, step) * step; times.length <= most; wall += step) {
    // hours and days are those of clocks, which may be set differently meanwhile
    const time = step >= HOUR ? fromWall(zone, wall) : wall - offset;
    if (time > end) break;
    if (time >= begin) times.push(time);
  }
  return { step, times };
}

/** How long something takes, exact below a second. @param {bigint} duration @returns {string} */
export function formatDuration(duration) {
  if (duration < 0n) return `−${formatDuration(-duration)}`;
  for (const [unit, size] of /** @type {[string, bigint][]} */ ([["ns", 1n], ["µs", 1000n], ["ms", MS], ["s", SECOND]])) {
    if (duration < (unit === "s" ? MINUTE : size * 1000n)) {
      const rest = String(duration % size).padStart(String(size).length - 1, "0").replace(/0+$/, "");
      const whole = duration / size;
      return size === 1n || !rest ? `${whole} ${unit}` : `${whole}.${unit === "s" ? rest.slice(0, 3) : rest} ${unit}`;
    }
  }
  /** @type {string[]} */
  const found = [];
  let rest = duration;
  for (const [unit, size] of /** @type {[string, bigint][]} */ ([["d", DAY], ["h", HOUR], ["min", MINUTE], ["s", SECOND]])) {
    if (rest >= size && found.length < 2) {
      found.push(`${rest / size} ${unit}`);
      rest %= size;
    } else if (found.length) break;
  }
  return found.join(" ");
}
