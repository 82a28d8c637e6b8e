// Charts as SVG. Texts come from anywhere, so they are set as text and nothing is parsed.

function append(element, children) {
	for (const child of children)
		if (child !== null && child !== undefined)
			element.append(child);
	return element;
}

// An element of HTML: properties, then children or texts.
function html(name, properties, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(properties || {}))
		if (key in element)
			element[key] = value;
		else
			element.setAttribute(key, value);
	return append(element, children);
}

function svg(name, attributes, ...children) {
	const element = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes || {}))
		element.setAttribute(key, value);
	return append(element, children);
}

// ---- numbers for people ----

function digits(number) {
	return number < 9.995 ? number.toFixed(2) : number < 99.95 ? number.toFixed(1) : number.toFixed(0);
}

function duration(seconds) {
	if (!seconds)
		return "0 ms";
	if (seconds < 0.9995e-6)
		return digits(seconds * 1e9) + " ns";
	if (seconds < 0.9995e-3)
		return digits(seconds * 1e6) + " µs";
	if (seconds < 0.9995)
		return digits(seconds * 1e3) + " ms";
	if (seconds < 120)
		return digits(seconds) + " s";
	if (seconds < 2 * 3600)
		return Math.floor(seconds / 60) + " min " + Math.floor(seconds % 60) + " s";
	if (seconds < 2 * 86400)
		return Math.floor(seconds / 3600) + " h " + Math.floor(seconds % 3600 / 60) + " min";
	return Math.floor(seconds / 86400) + " d " + Math.floor(seconds % 86400 / 3600) + " h";
}

function minutes(seconds) {
	return seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function share(number) {
	return number === null || number === undefined ? "–" : digits(100 * number) + " %";
}

function count(number) {
	return Number(number).toLocaleString("en");
}

// Without more digits than a tick needs.
function plain(number) {
	return String(Number(number.toPrecision(3)));
}

function clockTime(seconds, withSeconds) {
	const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
	if (withSeconds)
		options.second = "2-digit";
	return new Date(seconds * 1000).toLocaleTimeString([], options);
}

// ---- scales ----

// Round numbers from 0 to something above most, about n of them.
function linearTicks(most, n) {
	const rough = (most || 1) / n, power = 10 ** Math.floor(Math.log10(rough));
	const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
	const ticks = [];
	for (let i = 0; i === 0 || ticks[ticks.length - 1] < most; i++)
		ticks.push(i * step);
	return ticks;
}

function decades(low, high) {
	const ticks = [];
	for (let e = Math.floor(Math.log10(low) + 1e-9); e <= Math.ceil(Math.log10(high) - 1e-9); e++)
		ticks.push(10 ** e);
	return ticks;
}

function decadeText(seconds) {
	const e = Math.round(Math.log10(seconds));
	const [unit, from] = e < -6 ? ["ns", -9] : e < -3 ? ["µs", -6] : e < 0 ? ["ms", -3] : ["s", 0];
	return 10 ** (e - from) + " " + unit;
}

function timeTicks(from, to, n) {
	const step = [5, 10, 15, 30, 60, 120, 300, 600, 900].find((s) => (to - from) / s <= n) || 1800;
	const ticks = [];
	for (let t = Math.ceil(from / step) * step; t <= to; t += step)
		ticks.push(t);
	return { ticks, withSeconds: step < 60 };
}

// ---- frames ----

const MARGIN = { left: 52, right: 12, top: 8, bottom: 22 };

class Frame {
	// log: the values of y are positive, ticks are powers of ten.
	constructor(element, height, title, { x, y, log }) {
		this.width = Math.max(200, element.clientWidth);
		this.height = height;
		this.log = log;
		[this.x0, this.x1] = x;
		[this.y0, this.y1] = y;
		this.svg = svg("svg", {
			viewBox: `0 0 ${this.width} ${height}`, height, role: "img", "aria-label": title,
		});
		this.bottom = height - MARGIN.bottom;
	}

	x(value) {
		const part = (value - this.x0) / (this.x1 - this.x0);
		return MARGIN.left + part * (this.width - MARGIN.left - MARGIN.right);
	}

	y(value) {
		const at = (v) => (this.log ? Math.log10(v) : v);
		const part = (at(value) - at(this.y0)) / (at(this.y1) - at(this.y0));
		return this.bottom - part * (this.bottom - MARGIN.top);
	}

	yTicks(ticks, text) {
		for (const tick of ticks) {
			const y = this.y(tick);
			this.svg.append(
				svg("line", { class: "grid", x1: MARGIN.left, x2: this.width - MARGIN.right, y1: y, y2: y }),
				svg("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, text(tick)));
		}
	}

	// A text at an edge is moved inwards.
	xTicks(ticks, text) {
		this.svg.append(svg("line", {
			class: "axis", x1: MARGIN.left, x2: this.width - MARGIN.right, y1: this.bottom, y2: this.bottom,
		}));
		for (const tick of ticks) {
			const x = this.x(tick);
			this.svg.append(
				svg("line", { class: "axis", x1: x, x2: x, y1: this.bottom, y2: this.bottom + 4 }),
				svg("text", {
					x: Math.min(Math.max(x, 24), this.width - 26), y: this.height - 5,
					"text-anchor": "middle",
				}, text(tick)));
		}
	}
}

const SHAPES = [
	(x, y) => svg("circle", { cx: x, cy: y, r: 3.2 }),
	(x, y) => svg("rect", { x: x - 3, y: y - 3, width: 6, height: 6 }),
	(x, y) => svg("path", { d: `M${x} ${y - 4.4}l4.4 4.4l-4.4 4.4l-4.4 -4.4z` }),
];

function legend(entries) {
	const list = html("ul", { className: "legend" });
	for (const entry of entries) {
		const key = svg("svg", { viewBox: "0 0 18 10", "aria-hidden": "true" });
		if (entry.shape === undefined)
			key.append(svg("path", { class: `line ${entry.style}`, d: "M0 5H18" }));
		else
			key.append(SHAPES[entry.shape](9, 5));
		key.setAttribute("class", entry.style);
		list.append(html("li", {}, key, html("span", {}, entry.name)));
	}
	return list;
}

function empty(element, text) {
	element.replaceChildren(html("p", { className: "empty" }, text));
}

function timeFrame(element, title, range, y, log) {
	const frame = new Frame(element, 190, title, { x: range, y, log });
	const { ticks, withSeconds } = timeTicks(range[0], range[1], Math.max(4, frame.width / 90));
	frame.xTicks(ticks, (t) => clockTime(t, withSeconds));
	return frame;
}

// Steps: a value holds from one poll to the next. lines: {name, style, values: [{from, to, value}]}
function lineChart(element, title, range, lines, text, atLeast) {
	const values = lines.flatMap((line) => line.values.map((v) => (v ? v.value : 0)));
	const ticks = linearTicks(Math.max(atLeast, ...values), 4);
	const frame = timeFrame(element, title, range, [0, ticks[ticks.length - 1]], false);
	frame.yTicks(ticks, text);
	for (const line of lines) {
		let path = "", area = "", open = false;
		for (const v of line.values) {
			if (!v) {
				area += open ? `V${frame.bottom}` : "";
				open = false;
				continue;
			}
			const from = frame.x(Math.max(v.from, range[0])), to = frame.x(v.to), y = frame.y(v.value);
			path += `${open ? "L" : "M"}${from} ${y}H${to}`;
			area += `${open ? `V${y}` : `M${from} ${frame.bottom}V${y}`}H${to}`;
			open = true;
		}
		area += open ? `V${frame.bottom}` : "";
		if (lines.length === 1)
			frame.svg.append(svg("path", { class: `area ${line.style}`, d: area }));
		frame.svg.append(svg("path", { class: `line ${line.style}`, d: path }));
	}
	element.replaceChildren(...(lines.length > 1 ? [legend(lines)] : []), frame.svg);
}

// A mark for each; series: {name, style, shape, points: [{at, value, text}]}
function pointChart(element, title, range, series) {
	const values = series.flatMap((one) => one.points.map((point) => point.value));
	const ticks = decades(Math.min(1e-4, ...values), Math.max(1e-2, ...values));
	const frame = timeFrame(element, title, range, [ticks[0], ticks[ticks.length - 1]], true);
	frame.yTicks(ticks, decadeText);
	for (const one of series)
		for (const point of one.points) {
			const mark = SHAPES[one.shape](frame.x(point.at), frame.y(point.value));
			mark.setAttribute("class", one.style);
			frame.svg.append(append(mark, [svg("title", {}, point.text)]));
		}
	element.replaceChildren(legend(series), frame.svg);
}

// Shares of the collections by duration; shapes: {style, bars: [{from, to, value}]}, x in seconds.
function histogramChart(element, title, range, shapes) {
	const ticks = linearTicks(Math.max(...shapes.flatMap((s) => s.bars.map((b) => b.value))), 3);
	const frame = new Frame(element, 150, title, {
		x: range.map(Math.log10), y: [0, ticks[ticks.length - 1]], log: false,
	});
	const across = decades(...range).map(Math.log10).filter((e) => e >= frame.x0 && e <= frame.x1);
	const every = Math.ceil(across.length * 56 / frame.width);
	frame.yTicks(ticks, (v) => plain(100 * v) + " %");
	frame.xTicks(across.filter((_, i) => i % every === 0), (e) => decadeText(10 ** e));
	for (const shape of shapes) {
		let path = "", end = null;
		for (const bar of shape.bars) {
			const from = frame.x(Math.log10(bar.from)), to = frame.x(Math.log10(bar.to));
			if (end !== bar.from)
				path += (end === null ? "" : `V${frame.bottom}`) + `M${from} ${frame.bottom}`;
			path += `V${frame.y(bar.value)}H${to}`;
			end = bar.to;
		}
		path += end === null ? "" : `V${frame.bottom}`;
		frame.svg.append(
			svg("path", { class: `area ${shape.style}`, d: path }),
			svg("path", { class: `line ${shape.style}`, d: path }));
	}
	element.append(frame.svg);
}
