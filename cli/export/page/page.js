// The page: asks for the figures, shows them, keeps them, saves them.

const POLL_SECONDS = 3;
const GIVE_UP_SECONDS = 10;
const RECENT_SECONDS = 60;
const STYLES = 6; // of lines, in page.css

// As it came, before anything is drawn: what is saved.
const pristine = "<!doctype html>\n" + document.documentElement.outerHTML;
const state = {
	data: null, history: new History(null), scope: TOTAL, lostSince: null, timer: null,
	styles: new Map(), // of a service's line: the same while the page is open
};

const by = (id) => document.getElementById(id);
const serviceName = (name) => name || "(no service name)";
const generationNames = GENERATIONS.map((g) => `generation ${g}`);

function groupNow() {
	const { data, scope } = state;
	return data.services.find((group) => History.key(group) === scope) || data.total;
}

// ---- at a glance ----

function tile(name, value, detail, warn) {
	return html("div", { className: warn ? "warn" : "" },
		html("dt", {}, name), html("dd", {}, value), html("dd", { className: "detail" }, detail));
}

// Its words are those of the table of counters.
function counterTile(key, group, detail) {
	const { title, help } = state.data.metrics[key];
	const one = tile(title[0].toUpperCase() + title.slice(1), count(group[key]), detail);
	one.title = help;
	return one;
}

// Of the sum of the periods in which processes serve.
function servingShare(group) {
	const serving = group.periods.filter((period) => SERVING.includes(period.period));
	const add = (name) => serving.reduce((sum, period) => sum + period[name], 0);
	const lived = add("seconds");
	return lived ? { inside: add("in_request_seconds") / lived, outside: add("idle_seconds") / lived } : null;
}

function shareTile(group, last) {
	const shares = last && last.lived
		? { inside: last.inside / last.lived, outside: last.outside / last.lived }
		: servingShare(group);
	const detail = last && last.lived ? `last ${minutes(last.to - last.from)}` : "since ready";
	if (!shares)
		return tile("Time in collections", "–", "no process is ready yet");
	const waiting = shares.outside ? `, ${share(shares.outside)} while waiting` : "";
	return tile("Time in collections", share(shares.inside), `in requests${waiting}, ${detail}`);
}

function longestTile(samples) {
	const all = recent(samples, KEPT_SECONDS);
	if (!all)
		return tile("Longest pause", "–", "no data yet");
	const values = all.generations.map((one) => one.longest);
	const longest = Math.max(...values);
	const when = `last ${minutes(all.to - all.from)}`;
	if (!longest)
		return tile("Longest pause", "none", when);
	return tile("Longest pause", duration(longest), `generation ${values.indexOf(longest)}, ${when}`);
}

function guardTile(group) {
	const trips = `${count(group.guard_trips)} trips`;
	const on = Object.entries(group.guards).filter(([name]) => name !== "none");
	const text = on.map(([name, n]) => `${name}: ${count(n)}`).join(", ");
	return tile("Memory guard", text || "inactive", trips, Boolean(text));
}

// Mode concurrent.
function marksTile(group) {
	const { begun, garbage, swept } = group.marks, { title, help } = state.data.metrics["marks.begun"];
	const one = tile(title[0].toUpperCase() + title.slice(1), count(begun),
		`${count(garbage)} objects of garbage found, ${count(swept)} swept`);
	one.title = help;
	return one;
}

function showTiles(group, samples) {
	const most = ([, a], [, b]) => b - a;
	const states = Object.entries(group.states).sort(most).map(([name, n]) => `${count(n)} ${name}`);
	if (group.due)
		states.push(`${count(group.due)} due`);
	by("tiles").replaceChildren(
		tile("Processes", count(group.processes), states.join(", ") || "none running"),
		shareTile(group, recent(samples, RECENT_SECONDS)),
		longestTile(samples),
		counterTile("frozen_objects", group, "skipped by the collector"),
		guardTile(group),
		...(group.marks.begun ? [marksTile(group)] : []),
		counterTile("events_lost", group, "overwritten in the ring; totals are exact"));
}

// ---- charts of the last minutes ----

function timeRange() {
	const to = state.data.time;
	const first = state.history.of(TOTAL).find((sample) => sample !== null);
	return [Math.max(to - KEPT_SECONDS, Math.min(first ? first.from : to, to - 60)), to];
}

function valuesOf(samples, value) {
	return samples.map((s) => s && { from: s.from, to: s.to, value: value(s) });
}

const shareOf = (seconds) => (sample) => (sample.lived ? seconds(sample) / sample.lived : 0);

function shareLines(group, coarse) {
	const { data } = state;
	if (group !== data.total || data.services.length < 2) {
		const samples = coarse(History.key(group));
		const outside = samples.some((s) => s && s.outside > 0);
		const lines = [{ name: "in requests", style: "k0", values: valuesOf(samples, shareOf((s) => s.inside)) }];
		if (outside)
			lines.push({
				name: "while waiting", style: "k1 dashed",
				values: valuesOf(samples, shareOf((s) => s.outside)),
			});
		return lines;
	}
	const inside = shareOf((s) => s.inside);
	return data.services.slice(0, STYLES).map((one) => ({
		name: serviceName(one.service), style: styleOf(one), values: valuesOf(coarse(History.key(one)), inside),
	}));
}

function styleOf(group) {
	const { styles } = state, key = History.key(group);
	if (!styles.has(key))
		styles.set(key, `k${styles.size % STYLES}`);
	return styles.get(key);
}

function showShare(group, coarse, range) {
	const lines = shareLines(group, coarse);
	const more = state.data.n_services - STYLES;
	let about = "Share of the time of ready processes, without start-up";
	about += mixesServices(group) ? "; in requests." : ".";
	if (lines.length > 2 && more > 0)
		about += ` The ${STYLES} largest services; ${count(more)} more are in the total.`;
	by("share-about").textContent = about;
	lineChart(by("share"), `Time in collections, in percent: ${lines.map((line) => line.name).join(", ")}`,
		range, lines, (v) => plain(100 * v) + " %", 0.001);
}

function showPauses(samples, range) {
	const series = GENERATIONS.map((g) => ({
		name: generationNames[g], style: `k${g}`, shape: g,
		points: samples.filter((s) => s && s.generations[g].longest > 0).map((s) => ({
			at: (Math.max(s.from, range[0]) + s.to) / 2,
			value: s.generations[g].longest,
			text: `${clockTime(s.to, true)}, generation ${g}: ${duration(s.generations[g].longest)}`,
		})),
	}));
	by("pauses-about").textContent = "Each mark is the longest collection of a generation in a few seconds.";
	if (series.every((one) => !one.points.length))
		empty(by("pauses"), "No collections in this time range.");
	else
		pointChart(by("pauses"), "Longest pause by generation, logarithmic", range, series);
}

function showRate(samples, range) {
	const lines = GENERATIONS.map((g) => ({
		name: generationNames[g], style: `k${g}`,
		values: valuesOf(samples, (s) => s.generations[g].n / (s.to - s.from)),
	}));
	by("rate-about").textContent = "All processes together.";
	lineChart(by("rate"), "Collections per second by generation", range, lines, plain, 0.1);
}

function showTime(group) {
	const range = timeRange();
	const coarse = (key) => coarser(state.history.of(key), (range[1] - range[0]) / 90);
	const samples = coarse(History.key(group));
	if (!samples.some((s) => s !== null)) {
		const text = state.data.saved ? "No process was ready in this time range." : "Measuring the first seconds.";
		for (const id of ["share", "pauses", "rate"]) {
			by(`${id}-about`).textContent = "";
			empty(by(id), text);
		}
		return;
	}
	showShare(group, coarse, range);
	showPauses(samples, range);
	showRate(samples, range);
}

// ---- durations ----

// Four buckets of the ring are a bar: half a power of two.
function bars(buckets) {
	const { histogram } = state.data, joined = new Map();
	let total = 0;
	for (const [bucket, n] of buckets) {
		const bar = Math.floor(bucket / 4);
		joined.set(bar, (joined.get(bar) || 0) + n);
		total += n;
	}
	return [...joined].sort(([a], [b]) => a - b).map(([bar, n]) => ({
		from: bucketBound(histogram, 4 * bar - 1), to: bucketBound(histogram, 4 * bar + 3), value: n / total,
	}));
}

function showDurations(group) {
	const shapes = GENERATIONS.map((g) => SERVING.map((period) => ({
		style: period === "tuned" ? "k0" : "stock",
		one: group.counters[period].generations[g],
	})).filter((shape) => shape.one.collections).map((shape) => ({ ...shape, bars: bars(shape.one.buckets) })));
	const every = shapes.flat().flatMap((shape) => shape.bars);
	const root = by("durations");
	root.replaceChildren();
	by("durations-about").textContent = "";
	if (!every.length) {
		root.append(html("p", { className: "empty" }, "No collections while serving yet."));
		return;
	}
	by("durations-about").replaceChildren(
		"Share of the collections while serving, by duration; logarithmic. Ended processes included.",
		legend([{ name: "stock GC", style: "stock" }, { name: "tuned", style: "k0" }]));
	const range = [Math.min(...every.map((b) => b.from)), Math.max(...every.map((b) => b.to))];
	range[1] = Math.max(range[1], 10 * range[0]);
	for (const g of GENERATIONS) {
		const said = ["baseline", "tuned"].map((period) => {
			const one = group.counters[period].generations[g], name = period === "tuned" ? "tuned" : "stock GC";
			return `${name}: ${one.collections ? `${count(one.collections)}, longest ${duration(one.max_seconds)}` : "none"}`;
		});
		const part = html("div", { className: "chart" },
			html("h3", {}, `Generation ${g}`), ...said.map((line) => html("p", {}, line)));
		root.append(part);
		if (shapes[g].length)
			histogramChart(part, `Durations of generation ${g}: ${said.join("; ")}`, range, shapes[g]);
	}
}

// ---- tables ----

// columns: [{name, period or undefined, why}]; rows as gcpreload report has them.
function periodTable(caption, columns) {
	const body = html("tbody");
	const row = (name, value, part) => body.append(html("tr", { className: part ? "part" : "" },
		html("th", { scope: "row" }, name),
		...columns.map(({ period, style }) => html("td", { className: `number ${style || ""}` },
			period && value ? value(period) : ""))));
	const some = (value) => columns.some(({ period }) => period && value(period));
	const served = (value) => (p) => (p.period === "startup" ? "" : value(p)); // nobody waits before
	const over = (name) => served((p) => (p.seconds ? share(p[name] / p.seconds) : "–"));
	row("Time observed, all processes", (p) => duration(p.seconds));
	row("Share of time in collections", (p) => share(p.gc_time_share));
	row("… in requests", over("in_request_seconds"));
	row("Longest pause in requests", served((p) => duration(p.in_request_max_seconds)));
	if (some((p) => p.idle_seconds)) {
		row("… while waiting", over("idle_seconds"));
		row("Longest while waiting", served((p) => duration(p.idle_max_seconds)));
	}
	const known = (value, told) => (value === null ? "unknown" : told(value));
	row("Processor time", (p) => known(p.cpu_seconds, duration));
	row("Connections accepted", (p) => known(p.connections, count));
	for (const g of GENERATIONS) {
		if (!some((p) => p.generations[g].collections))
			continue;
		const of = (name) => (p) => (p.generations[g].collections ? duration(p.generations[g][name]) : "–");
		row(`Generation ${g}: collections`, (p) => count(p.generations[g].collections), true);
		row("p50", of("p50"));
		row("p99", of("p99"));
		row("Longest", of("max_seconds"));
	}
	if (some((p) => p.once.collections))
		row("Once, outside requests", (p) => (p.once.collections ? duration(p.once.seconds) : "–"), true);
	return html("table", { className: "periods", "aria-label": caption },
		html("thead", {}, html("tr", {}, html("td"),
			...columns.map(({ name, style }) => html("th", { scope: "col", className: `number ${style || ""}` }, name)))),
		body);
}

function gainText(group, stock, tuned) {
	const part = (p) => (group.without_first_minutes ? p.steady : p);
	const told = (p) => (p.seconds ? share(part(p).in_request_seconds / part(p).seconds) : "–");
	const longest = (p) => duration(p.in_request_max_seconds) +
		(group.equal_times ? "" : ` in ${duration(p.seconds)}`);
	const strong = (text) => html("strong", {}, text);
	if (group.not_compared)
		return [`Stock and tuned are not compared: ${group.not_compared}.`];
	if (stock && tuned)
		return ["Share of time in collections in requests: ", strong(told(stock)), " with the stock collector, ",
			strong(told(tuned)), " tuned. Longest pause: ", strong(longest(stock)),
			" with the stock collector, ", strong(longest(tuned)), " tuned."];
	if (tuned)
		return ["Share of time in collections in requests: ", strong(told(tuned)), " tuned. No baseline to ",
			"compare with; GCPRELOAD_BASELINE measures one."];
	if (stock)
		return ["Share of time in collections in requests: ", strong(told(stock)),
			" with the stock collector. Not tuned."];
	return ["Nothing to compare yet: no process was ready."];
}

// Two sides of each service; a total would set one service against another.
function servicesTable(caption, names, sides) {
	const cells = (p) => [p && p.seconds ? share(p.in_request_seconds / p.seconds) : "–",
		p ? duration(p.in_request_max_seconds) : "–"];
	const cell = (text) => html("td", { className: "number" }, text);
	const rows = state.data.services.map((group) => [group, sides(group)]).filter(([, pair]) => pair[0] || pair[1]);
	const head = names.flatMap(() => ["GC share", "longest"]);
	return html("table", { className: "periods", "aria-label": caption },
		html("thead", {},
			html("tr", {}, html("td"),
				...names.map((name) => html("th", { scope: "colgroup", colSpan: 2, className: "number" }, name))),
			html("tr", {}, html("th", { scope: "col" }, "Service"),
				...head.map((name) => html("th", { scope: "col", className: "number" }, name)))),
		html("tbody", {}, ...rows.map(([group, pair]) => html("tr", {},
			html("th", { scope: "row" }, serviceName(group.service)), ...pair.flatMap(cells).map(cell)))));
}

const periodOf = (group, name) => group.periods.find((one) => one.period === name);
const mixesServices = (group) => group === state.data.total && state.data.services.length > 1;

function showGain(group) {
	const stock = periodOf(group, "baseline"), tuned = periodOf(group, "tuned");
	if (mixesServices(group)) {
		by("gain-about").textContent = "Collections in requests, with the stock collector and tuned: share of " +
			"the time, longest pause. Choose a service above for its details.";
		by("gain").replaceChildren(servicesTable("Stock collector and tuned, by service", ["Stock GC", "Tuned"],
			(one) => [periodOf(one, "baseline"), periodOf(one, "tuned")]));
		return;
	}
	by("gain-about").replaceChildren(...gainText(group, stock, tuned));
	if (!group.periods.length) {
		empty(by("gain"), "No measurements yet; a process has them once it is ready.");
		return;
	}
	by("gain").replaceChildren(
		periodTable("Start-up, serving with the stock collector, serving tuned", [
			{ name: "Start-up", period: periodOf(group, "startup"), style: "muted" },
			{ name: stock ? "Stock GC" : "Stock GC (none)", period: stock },
			{ name: tuned ? "Tuned" : "Tuned (not yet)", period: tuned },
		]),
		html("p", { className: "note" }, "Includes ended processes that still have measurements. Start-up is not " +
			"compared. p50 and p99 are at most 9 % too high."));
}

function showSample(group) {
	const { tuned, untuned } = group.sample;
	by("sample-section").hidden = !tuned && !untuned;
	by("gain-section").classList.toggle("wide", !tuned && !untuned);
	const name = (text, one) => `${text}: ${one ? count(one.processes) : "none"}`;
	const caption = "Untuned and tuned processes of the sample";
	by("sample").replaceChildren(mixesServices(group)
		? servicesTable(caption, ["Untuned", "Tuned"], (one) => [one.sample.untuned, one.sample.tuned])
		: periodTable(caption, [
			{ name: name("Untuned", untuned), period: untuned }, { name: name("Tuned", tuned), period: tuned },
		]));
}

const GOOD = ["ready", "parent"], WARN = ["standing-back", "off"];

function stateCell(process) {
	const kind = process.due || WARN.includes(process.state) ? "warn" : GOOD.includes(process.state) ? "good" : "";
	const guard = process.guard === "none" ? "" : `, guard: ${process.guard}`;
	return html("span", { className: `state ${kind}` }, process.state + (process.due ? " (due)" : "") + guard);
}

function shareCell(process, most) {
	const bar = html("span");
	bar.style.width = `${most ? 100 * process.gc_time_share / most : 0}%`;
	return html("span", {}, share(process.gc_time_share),
		html("span", { className: "meter", ariaHidden: "true" }, bar));
}

// [head, class, value]: a text or an element.
function processColumns(processes) {
	const most = Math.max(...processes.map((process) => process.gc_time_share));
	const several = (name) => new Set(processes.map((process) => process[name])).size > 1;
	const pauses = (process) => process.max_seconds.map((s) => (s ? duration(s) : "–")).join(" / ");
	return [
		["PID", "number", (p) => String(p.pid)],
		...(several("hostname") ? [["Host", "text", (p) => p.hostname]] : []),
		["Service", "text", (p) => p.service || "–"],
		["Python", "", (p) => p.python || "–"],
		["State", "", stateCell],
		["Reason", "text", (p) => p.reason || "–"],
		["Mode", "", (p) => p.mode + (p.sample === "none" ? "" : ` (sample: ${p.sample})`)],
		["Frozen", "number", (p) => (p.frozen_objects === null ? "–" : count(p.frozen_objects))],
		["GC share", "number", (p) => shareCell(p, most)],
		["Collections 0 / 1 / 2", "number wraps", (p) => p.collections.map(count).join(" / ")],
		["Longest 0 / 1 / 2", "number wraps", pauses],
		...(state.data.commands ? [["Command", "text command", (p) => p.command]] : []),
	];
}

function showProcesses(group) {
	const { data, scope } = state;
	const processes = data.processes.filter((p) => group === data.total || scope === "service " + p.service);
	by("processes-about").textContent = "";
	if (!processes.length) {
		empty(by("processes"), "No running process has measurements; a process has them once it is ready.");
		return;
	}
	const shown = processes.length < group.processes
		? `The ${count(processes.length)} of ${count(group.processes)} with the largest share` : "Largest share first";
	by("processes-about").textContent = `${shown}. GC share is of the present period, as in gcpreload ps; ` +
		"longest is while serving.";
	const columns = processColumns(processes);
	const cell = (process) => ([name, style, value], i) => html(i ? "td" : "th",
		{ className: style, role: i ? "cell" : "rowheader", "data-label": name, ...(i ? {} : { scope: "row" }) },
		html("span", { className: "value" }, value(process)));
	by("processes").replaceChildren(html("table", { className: "processes", role: "table", "aria-labelledby": "h-processes" },
		html("thead", { role: "rowgroup" }, html("tr", { role: "row" },
			...columns.map(([name, style]) => html("th", { scope: "col", role: "columnheader", className: style }, name)))),
		html("tbody", { role: "rowgroup" },
			...processes.map((process) => html("tr", { role: "row" }, ...columns.map(cell(process)))))));
}

// ---- all of it ----

function showScope() {
	const { services } = state.data, select = by("scope");
	const keys = [TOTAL, ...services.map(History.key)];
	by("scope-label").hidden = services.length < 2;
	if (!keys.includes(state.scope))
		state.scope = TOTAL;
	if (document.activeElement !== select || select.options.length !== keys.length)
		select.replaceChildren(new Option(`all ${count(state.data.n_services)}`, TOTAL),
			...services.map((group) => new Option(serviceName(group.service), History.key(group))));
	select.value = state.scope;
}

function show() {
	if (!state.data)
		return;
	showScope();
	const group = groupNow(), samples = state.history.of(History.key(group));
	by("host").textContent = state.data.host;
	by("version").textContent = state.data.version;
	showTiles(group, samples);
	showTime(group);
	showDurations(group);
	showGain(group);
	showSample(group);
	showProcesses(group);
}

function say(kind, text) {
	const status = by("status");
	status.dataset.state = kind;
	document.body.classList.toggle("lost", kind === "lost");
	if (status.textContent !== text) // a reader is told of changes only
		status.textContent = text;
}

async function poll() {
	clearTimeout(state.timer);
	try {
		const answer = await fetch(state.data ? "data.json" : "data.json?history", {
			cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_SECONDS * 1000),
		});
		if (!answer.ok)
			throw new Error(`the exporter answered with HTTP status ${answer.status}`);
		const data = await answer.json();
		if (!state.data)
			state.history = new History(data);
		state.data = data;
		state.history.add(data);
		state.lostSince = null;
		say("live", `live, every ${POLL_SECONDS} s`);
		show();
	} catch {
		state.lostSince ||= Date.now() / 1000;
		say("lost", `not connected since ${clockTime(state.lostSince, true)}, retrying`);
	}
	clearTimeout(state.timer);
	if (!document.hidden)
		state.timer = setTimeout(poll, POLL_SECONDS * 1000);
}

// ---- saving ----

function savedPage(data) {
	const text = JSON.stringify(data).replace(/[<>&\u2028\u2029]/g,
		(c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
	const mark = pristine.indexOf(">", pristine.indexOf('id="data"')) + 1;
	return pristine.slice(0, mark) + text + pristine.slice(mark);
}

function save() {
	const withHistory = (group) => ({ ...group, history: state.history.of(History.key(group)) });
	const { data: now } = state;
	const data = { ...now, saved: true, total: withHistory(now.total), services: now.services.map(withHistory) };
	const link = html("a", { href: URL.createObjectURL(new Blob([savedPage(data)], { type: "text/html" })) });
	const when = new Date(data.time * 1000).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
	link.download = `gcpreload-${data.host.replace(/[^\w.-]/g, "_")}-${when}.html`;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function start() {
	const text = by("data").textContent.trim();
	let width = 0;
	by("scope").addEventListener("change", (event) => {
		state.scope = event.target.value;
		show();
	});
	new ResizeObserver(() => {
		if (width !== by("main").clientWidth)
			show();
		width = by("main").clientWidth;
	}).observe(by("main"));
	if (text) {
		state.data = JSON.parse(text);
		state.history = new History(state.data);
		by("save").hidden = by("links").hidden = true;
		const when = new Date(state.data.time * 1000).toISOString().slice(0, 19).replace("T", " ");
		document.title = `gcpreload, saved ${when} UTC`;
		say("saved", `saved ${when} UTC`);
		show();
		return;
	}
	by("save").addEventListener("click", save);
	document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(state.timer) : poll()));
	poll();
}

start();
