"use strict";
// What was polled becomes samples: what happened between one poll and the next. Counters of the
// exporter grow only, so a poll that was late or left out loses nothing but detail.

const KEPT_SECONDS = 15 * 60;
const SERVING = ["baseline", "tuned"];
const GENERATIONS = [0, 1, 2];
const TOTAL = "total";

// The bound of a bucket above, in seconds.
function bucketBound(histogram, bucket) {
	return 2 ** ((bucket + 1 + histogram.first) / 2 ** histogram.scale);
}

// Both periods in which a process serves.
function servingSum(group) {
	const sum = { inside: 0, outside: 0, generations: [] };
	for (const period of SERVING) {
		sum.inside += group.counters[period].in_request_seconds;
		sum.outside += group.counters[period].idle_seconds;
	}
	for (const g of GENERATIONS) {
		const one = { n: 0, longest: 0, buckets: new Map() };
		for (const period of SERVING) {
			const from = group.counters[period].generations[g];
			one.n += from.collections;
			one.longest = Math.max(one.longest, from.max_seconds);
			for (const [bucket, n] of from.buckets)
				one.buckets.set(bucket, (one.buckets.get(bucket) || 0) + n);
		}
		sum.generations.push(one);
	}
	return sum;
}

// The longest of the collections that are new: its bucket's upper bound, 9 % too high at most.
function longestOfNew(histogram, before, after) {
	let bucket = null;
	for (const [j, n] of after.buckets)
		if (n > (before.buckets.get(j) || 0) && (bucket === null || j > bucket))
			bucket = j;
	return bucket === null ? 0 : Math.min(bucketBound(histogram, bucket), after.longest);
}

// null where a counter has gone back: then nobody knows.
function sampleBetween(before, after, seconds, histogram) {
	const sample = {
		inside: after.inside - before.inside,
		outside: after.outside - before.outside,
		lived: seconds * (before.serving + after.serving) / 2,
		generations: [],
	};
	// Sums of seconds are rounded when they are written.
	if (sample.inside < -1e-6 || sample.outside < -1e-6)
		return null;
	for (const g of GENERATIONS) {
		const a = before.generations[g], b = after.generations[g];
		if (b.n < a.n)
			return null;
		sample.generations.push({ n: b.n - a.n, longest: longestOfNew(histogram, a, b) });
	}
	return sample;
}

class History {
	// data: the first figures, with what was before them; or null.
	constructor(data) {
		this.samples = new Map(); // of a service's key: [{from, to, ...} or null]
		this.last = null;
		for (const group of data ? [data.total, ...data.services] : [])
			this.samples.set(History.key(group), [...group.history]);
	}

	static key(group) {
		return group.service === null ? TOTAL : "service " + group.service;
	}

	add(data) {
		const now = { exporter: data.exporter, clock: data.clock, time: data.time, sums: new Map() };
		const last = this.last;
		for (const group of [data.total, ...data.services]) {
			const sum = servingSum(group);
			sum.serving = group.serving;
			now.sums.set(History.key(group), sum);
		}
		const seconds = last ? now.clock - last.clock : 0;
		if (last && last.exporter === now.exporter && seconds > 0) {
			for (const [key, sum] of now.sums)
				if (last.sums.has(key))
					this.append(key, last, sum, now, data.histogram);
		} else if (last) {
			for (const list of this.samples.values())
				list.push(null);
		}
		this.last = now;
		this.forget(now.time - KEPT_SECONDS);
	}

	append(key, last, sum, now, histogram) {
		const sample = sampleBetween(last.sums.get(key), sum, now.clock - last.clock, histogram);
		if (sample)
			Object.assign(sample, { from: last.time, to: now.time });
		if (!this.samples.has(key))
			this.samples.set(key, []);
		this.samples.get(key).push(sample);
	}

	forget(before) {
		for (const [key, list] of this.samples) {
			while (list.length && (list[0] === null || list[0].to < before))
				list.shift();
			if (!list.length)
				this.samples.delete(key);
		}
	}

	of(key) {
		return this.samples.get(key) || [];
	}
}

// What several samples say together.
function joined(samples) {
	const sum = { from: samples[0].from, inside: 0, outside: 0, lived: 0 };
	sum.generations = GENERATIONS.map(() => ({ n: 0, longest: 0 }));
	for (const sample of samples) {
		sum.to = sample.to;
		for (const name of ["inside", "outside", "lived"])
			sum[name] += sample[name];
		for (const g of GENERATIONS) {
			const one = sum.generations[g], from = sample.generations[g];
			one.n += from.n;
			one.longest = Math.max(one.longest, from.longest);
		}
	}
	return sum;
}

// Neighbours joined until they last so long; a gap stays one.
function coarser(samples, seconds) {
	const result = [];
	let open = [];
	const close = () => {
		if (open.length)
			result.push(joined(open));
		open = [];
	};
	for (const sample of samples) {
		if (sample === null) {
			close();
			result.push(null);
			continue;
		}
		open.push(sample);
		if (sample.to - open[0].from >= seconds)
			close();
	}
	close();
	return result;
}

// The last so many seconds as one, or null.
function recent(samples, seconds) {
	const real = samples.filter((sample) => sample !== null);
	if (!real.length)
		return null;
	const since = real[real.length - 1].to - seconds;
	return joined(real.filter((sample) => sample.to > since));
}
