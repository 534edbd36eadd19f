// demo.js draws the two sessions from the server's record. It keeps neither alive: the script that keepalive inserts does.

const SVG = 'http://www.w3.org/2000/svg';
const SIDES = ['with', 'without'];
const main = document.querySelector('main');
const page = main.dataset.side;
const idle = Number(main.dataset.idle);
const lifetime = Number(main.dataset.lifetime);

// The last record, and how far the server's clock is ahead of this one.
let data = null;
let offset = 0;

// The server's time in ms. It stands still when the last record is old: what has happened since is not known.
const now = () => Math.min(Date.now() + offset, data.now + 3000);

// Formats ms as m:ss, or h:mm:ss.
const clock = (ms) => {
	const s = Math.max(0, Math.round(ms / 1000));
	const two = (n) => String(n).padStart(2, '0');
	const h = Math.floor(s / 3600);
	return (h ? h + ':' + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ':' + two(s % 60);
};

const expiry = (lane) => Math.min(lane.marks.at(-1).expiry, lane.deadline);

// Returns when a session ended, or null while it is alive. The record alone decides: what this page knows may be old.
const ended = (lane) => (expiry(lane) > data.now ? null : expiry(lane));

// Tells whether a session was over at its deadline. Times are in whole milliseconds.
const livedFully = (lane) => expiry(lane) > lane.deadline - 10;

// Returns the points of what is to come: pings, while a page sends them, and then the fall to the end.
const toCome = (lane, from, pings) => {
	let until = expiry(lane);
	const points = [[from, until - from]];
	let at = Math.max(from, lane.marks.at(-1).at + idle / 2);
	for (; pings && until < lane.deadline && points.length < 1000; at += idle / 2) {
		points.push([at, until - at]);
		until = Math.min(at + idle, lane.deadline);
		points.push([at, until - at]);
	}
	return [...points, [until, 0]];
};

// Tells whether the page of a side is open. Another page than this one is if it has pinged a short time ago.
const isOpen = (side, lane) => {
	if (side === 'without' || page === 'with') return side === 'with';
	const last = lane.marks.at(-1);
	return last.kind === 'ping' && now() - last.at < idle * 0.7;
};

// ----- the charts

// Returns the distance between two labels of the axis, so that each has at least 56 px.
const axisStep = (life, width) => {
	const least = (life * 56) / width / 1000;
	const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
	return 1000 * (steps.find((s) => s >= least) ?? Math.ceil(least / 86400) * 86400);
};

const chart = (side) => document.querySelector(`.lane.${side} > svg`);

// Returns what draws on the chart of a side: its size, the place of a time and of a time left, and a function that adds to it.
const canvas = (side, start, life) => {
	const { width, height } = chart(side).getBoundingClientRect();
	const small = height < 100; // as on a phone
	const [left, right, top, base] = small ? [6, width - 6, 8, height - 6] : [34, width - 8, 24, height - 24];
	const within = (value, most) => Math.min(Math.max(value, 0), most) / most;
	const x = (t) => +(left + within(t - start, life) * (right - left)).toFixed(1);
	const y = (ms) => +(base - within(ms, idle) * (base - top)).toFixed(1);
	const group = document.createElementNS(SVG, 'g');
	const put = (name, attributes, text = '') => {
		const e = document.createElementNS(SVG, name);
		for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
		e.textContent = text;
		group.append(e);
	};
	const line = (points) => 'M' + points.map(([t, ms]) => `${x(t)} ${y(ms)}`).join('L');
	return { small, left, right, top, base, x, y, put, line, group };
};

// Draws what lies behind the sessions: the axes, and the latest end.
const drawGround = ({ small, left, right, top, base, x, put }, start, life, nowBox) => {
	const deadline = start + life;
	// No ping lifts the line beyond this edge: the session would outlive its deadline.
	put('path', { class: 'beyond', d: `M${x(deadline - idle)} ${top}H${right}V${base}z` });
	const step = axisStep(life, right - left);
	for (let at = step; at < life; at += step) {
		const tick = x(start + at);
		put('path', { class: 'grid', d: `M${tick} ${top}V${base}` });
		if (!small && Math.abs(tick - nowBox) > 36) put('text', { x: tick, y: base + 16, 'text-anchor': 'middle' }, clock(at));
	}
	put('path', { class: 'grid', d: `M${left} ${top}H${right}` });
	put('path', { class: 'axis', d: `M${left} ${base}H${right}` });
	put('path', { class: 'deadline', d: `M${right} ${top - 6}V${base}` });
	if (small) return;
	put('text', { x: left - 6, y: top + 4, 'text-anchor': 'end' }, clock(idle));
	put('text', { x: left - 6, y: base + 4, 'text-anchor': 'end' }, '0:00');
	put('text', { class: 'strong', x: right, y: top - 10, 'text-anchor': 'end' }, 'latest end ' + clock(life));
};

const drawToCome = ({ base, x, put, line }, points) => {
	put('path', { class: 'to-come-area', d: `${line(points)}V${base}H${x(points[0][0])}z` });
	put('path', { class: 'to-come', d: line(points) });
};

// Draws what has been: the time left rises at each mark and falls between them.
const drawPast = ({ base, x, y, put, line }, lane, t) => {
	const points = lane.marks.flatMap((mark, i) => {
		const until = lane.marks[i + 1]?.at ?? t;
		if (lane.marks[i + 1]) put('path', { class: 'missed', d: line([[until, mark.expiry - until], [mark.expiry, 0]]) });
		return [[mark.at, mark.expiry - mark.at], [until, mark.expiry - until]];
	});
	put('path', { class: 'lived', d: `${line(points)}V${base}H${x(lane.marks[0].at)}z` });
	put('path', { class: 'left', d: line(points) });
	for (const mark of lane.marks) {
		const [cx, cy] = [x(mark.at), y(mark.expiry - mark.at)];
		if (mark.kind === 'ping') put('circle', { class: 'ping', cx, cy, r: 4 });
		else put('path', { class: 'request', d: `M${cx} ${cy - 5}l5 5-5 5-5-5z` });
	}
};

const draw = (side, lane) => {
	const life = lane.deadline - lane.start;
	const c = canvas(side, lane.start, life);
	const { small, left, right, top, base, x, y, put, line } = c;
	const end = ended(lane);
	const nx = x(now());
	const box = Math.min(Math.max(nx, left + 17), right - 17); // the middle of the label "now"
	drawGround(c, lane.start, life, box);
	if (!end) drawToCome(c, toCome(lane, now(), isOpen(side, lane)));
	drawPast(c, lane, end ?? now());
	if (now() < lane.deadline) put('path', { class: 'now', d: `M${nx} ${top - 6}V${base + 4}` });
	if (now() < lane.deadline && !small) {
		put('rect', { class: 'now-box', x: box - 17, y: base + 4, width: 34, height: 17, rx: 3 });
		put('text', { class: 'now-text', x: box, y: base + 16.5, 'text-anchor': 'middle' }, 'now');
	}
	if (end) {
		const ex = x(end);
		put('path', { class: 'end', d: `M${ex - 5} ${base - 5}l10 10m0-10l-10 10` });
		const after = ex < (left + right) / 2;
		const anchor = after ? 'start' : 'end';
		if (!small && !livedFully(lane)) // at the latest end there is a label already
			put('text', { class: 'strong', x: ex + (after ? 12 : -12), y: base - 10, 'text-anchor': anchor }, 'signed out ' + clock(end - lane.start));
	} else {
		put('path', { class: 'ahead', d: line([[now(), expiry(lane) - now()], [expiry(lane), 0]]) });
	}
	chart(side).replaceChildren(c.group);
	const pings = lane.marks.filter((mark) => mark.kind === 'ping').length;
	chart(side).setAttribute(
		'aria-label',
		`${pings} pings; ` +
			(end
				? `signed out after ${clock(end - lane.start)}.`
				: `signed out ${clock(expiry(lane) - lane.start)} after signing in if nothing comes, ` +
					`at ${clock(life)} in any case.`)
	);
	return { end, pings };
};

// Draws what a session will look like, while there is no record of one.
const sketch = (side) => {
	const lane = { start: 0, deadline: lifetime, marks: [{ at: 0, expiry: idle }] };
	const c = canvas(side, 0, lifetime);
	drawGround(c, 0, lifetime, -Infinity);
	drawToCome(c, toCome(lane, 0, side === 'with'));
	chart(side).replaceChildren(c.group);
	chart(side).setAttribute('aria-label', 'What is to come');
};

// ----- the texts

// Changes only texts that differ, or a screen reader would read them again.
const setText = (e, text) => {
	if (e.textContent !== text) e.textContent = text;
};

const showFacts = (side, facts) => {
	const lane = document.querySelector('.lane.' + side);
	lane.classList.toggle('ended', Boolean(facts.over));
	for (const e of lane.querySelectorAll('[data-fact]')) setText(e, facts[e.dataset.fact] ?? '');
};

const show = () => {
	for (const side of SIDES) {
		const lane = data?.[side];
		if (!lane) {
			sketch(side);
			showFacts(side, { idle: '–', latest: '–', pings: '–' });
			continue;
		}
		const { end, pings } = draw(side, lane);
		showFacts(side, {
			idle: clock(expiry(lane) - now()),
			latest: clock(lane.deadline - now()),
			pings: String(pings),
			over: end ? `Signed out after ${clock(end - lane.start)}` : '',
			why: !end ? '' : livedFully(lane) ? ': nobody stays signed in for longer.' : ': the server had heard nothing for too long.',
		});
	}
};

const listMarks = () => {
	const names = { with: 'With keepalive', without: 'Without' };
	const kinds = { ping: 'ping', touch: 'page opened', save: 'form sent' };
	const rows = SIDES.flatMap((side) =>
		(data[side]?.marks ?? []).map((mark) => ({
			at: mark.at,
			text: `${clock(mark.at - data[side].start)} ${names[side]}: ${kinds[mark.kind]}, signed in until ${clock(mark.expiry - data[side].start)}`,
		}))
	).sort((a, b) => b.at - a.at);
	const log = document.getElementById('log');
	if (log.children.length === rows.length && log.firstChild?.textContent === rows[0]?.text) return;
	log.replaceChildren(
		...rows.map((row) => {
			const li = document.createElement('li');
			li.textContent = row.text;
			return li;
		})
	);
};

// ----- the record

// Fetches the record. It returns what the user should know if there is none.
const fetchRecord = async () => {
	try {
		const response = await fetch('/timeline', { signal: AbortSignal.timeout(5000) });
		if (response.status === 204) {
			data = null;
			return 'There is nothing to show any more: you signed out, or the demo was started anew.';
		}
		if (response.status !== 200) return `The server answers with an error (${response.status}).`;
		data = await response.json();
		offset = data.now - Date.now();
		listMarks();
		return '';
	} catch {
		return 'The server does not answer. The charts wait for it.';
	}
};

let asking = false;
let timer = 0;

// A poll, not a stream: over HTTP/1.1 a browser opens six connections to a server, and streams in six tabs would leave
// none for the pings. A hidden page asks for nothing, and at once when it is looked at again.
const poll = async () => {
	if (asking || document.hidden) return;
	asking = true;
	clearTimeout(timer);
	setText(document.getElementById('silent'), await fetchRecord());
	show();
	asking = false;
	timer = setTimeout(poll, 1000);
};

show();
poll();
document.addEventListener('visibilitychange', poll);
addEventListener('pageshow', poll); // from the back/forward cache
addEventListener('resize', show);
setInterval(show, matchMedia('(prefers-reduced-motion: reduce)').matches ? 1000 : 250);
