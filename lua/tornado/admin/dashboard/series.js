// From samples, whose numbers mostly only grow, to what happened between them.

export const WINDOW = 300; // seconds that are shown
const HOLE = 15; // seconds without a sample: nothing is drawn there
const LATELY = 10; // samples that the tiles look at

// The value below which the part `q` of all lies, by counts of what lies between bounds; null
// without any.
export function quantile(counts, bounds, q) {
  const all = counts.reduce((sum, n) => sum + n, 0);
  if (all <= 0) return null;
  let left = q * all;
  for (let i = 0; i < bounds.length; i++) {
    if (left <= counts[i] && counts[i] > 0) {
      const low = i > 0 ? bounds[i - 1] : 0;
      return low + (bounds[i] - low) * left / counts[i];
    }
    left -= counts[i];
  }
  return bounds[bounds.length - 1];
}

// What has happened between two samples: null when that cannot be said.
function between(before, now, bounds) {
  const span = (now.time_ms - before.time_ms) / 1000;
  if (span <= 0 || span > HOLE) return null;
  const grown = (name) => Math.max(0, now[name] - before[name]);
  const per = (name) => grown(name) / span;
  const times = bounds.concat(0).map((_, i) => grown(`times_${i}`));
  const classes = [1, 2, 3, 4, 5].map((i) => per(`replies_${i}xx`));
  return {
    times,
    rate: classes.reduce((sum, n) => sum + n, 0),
    s2: classes[0] + classes[1], s3: classes[2], s4: classes[3], s5: classes[4],
    p50: quantile(times, bounds, 0.5),
    p95: quantile(times, bounds, 0.95),
    p99: quantile(times, bounds, 0.99),
    received: per("received"), sent: per("sent"), accepted: per("accepted"),
    reload: grown("reloads") > 0, failed: grown("reloads_failed") > 0,
    replaced: grown("replaced") > 0,
  };
}

const NOTHING = {
  times: null, rate: null, s2: null, s3: null, s4: null, s5: null, p50: null, p95: null, p99: null,
  received: null, sent: null, accepted: null, reload: false, failed: false, replaced: false,
};

export class Series {
  constructor(columns, bounds) {
    this.columns = columns;
    this.bounds = bounds;
    this.samples = [];
    this.points = []; // { time, ... } for each sample
  }

  // Takes lists of numbers; those that are known already are left out.
  add(rows) {
    for (const row of rows) {
      const sample = Object.fromEntries(this.columns.map((name, i) => [name, row[i]]));
      const before = this.samples[this.samples.length - 1];
      if (before && sample.number <= before.number) continue;
      this.samples.push(sample);
      this.points.push(this.point(before, sample));
    }
    const start = this.end() - WINDOW;
    while (this.points.length > 2 && this.points[1].time < start) {
      this.points.shift();
      this.samples.shift();
    }
  }

  point(before, sample) {
    const open = sample.connections;
    return {
      time: sample.time_ms / 1000,
      active: Math.min(sample.requests, open), idle: Math.max(0, open - sample.requests),
      connections: open, websockets: sample.websockets,
      lua: sample.lua, resident: sample.resident,
      ...((before && between(before, sample, this.bounds)) || NOTHING),
    };
  }

  // The time of the last point, seconds since 1970.
  end() {
    return this.points.length > 0 ? this.points[this.points.length - 1].time : 0;
  }

  last() {
    return this.points[this.points.length - 1];
  }

  // A percentile of the last seconds together, which is steadier than of one.
  lately(q) {
    const sums = this.bounds.concat(0).map(() => 0);
    for (const point of this.points.slice(-LATELY))
      if (point.times) point.times.forEach((n, i) => { sums[i] += n; });
    return quantile(sums, this.bounds, q);
  }

  // What a column has grown by in all that is shown.
  grown(name) {
    const first = this.samples[0];
    return first ? Math.max(0, this.samples[this.samples.length - 1][name] - first[name]) : 0;
  }

  total(name) {
    const last = this.samples[this.samples.length - 1];
    return last ? last[name] : 0;
  }
}
