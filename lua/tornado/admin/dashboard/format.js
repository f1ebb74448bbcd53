// Numbers as people read them.

const NONE = "–";

function fixed(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value, step, units) {
  let at = 0;
  while (value >= step && at < units.length - 1) {
    value /= step;
    at++;
  }
  return (at === 0 ? String(Math.round(value)) : fixed(value)) + units[at];
}

// A count: 950, 12.3k, 4.56M.
export function count(value) {
  if (value === null || value === undefined) return NONE;
  return value < 10000 ? String(Math.round(value)) : scaled(value, 1000, ["", "k", "M", "G", "T"]);
}

// With its thousands apart.
export function exact(value) {
  return Math.round(value).toLocaleString("en-GB").replace(/,/g, "\u202f");
}

// A number per second.
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  if (value >= 10000) return count(value);
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  return scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
}

// A time that is not long, in seconds.
export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return "0 ms";
  if (value < 0.000999) return `${Math.max(1, Math.round(value * 1e6))} µs`;
  return value < 1 ? `${fixed(value * 1000)} ms` : `${fixed(value)} s`;
}

// How old something is, in seconds.
export function age(value) {
  const s = Math.max(0, Math.floor(value));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

// The clock here, of seconds since 1970.
export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

export function day(time) {
  return new Date(time * 1000).toLocaleString("en-GB");
}
