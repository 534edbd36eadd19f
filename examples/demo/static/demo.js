// demo.js draws the two sessions. It does not keep one of them alive: the script that keepalive inserts in the page does.
// An app would write only the last part, which handles the keepalive: events.
(() => {
	'use strict';

	const SVG = 'http://www.w3.org/2000/svg';
	const SIDES = ['with', 'without'];
	const main = document.querySelector('main');
	const idle = Number(main.dataset.idle);

	/** @type {{now: number, with: object|null, without: object|null}|null} */
	let data = null;
	let offset = 0; // of the server's clock against this one, in ms

	const now = () => Date.now() + offset;

	// Formats ms as m:ss, or h:mm:ss.
	const clock = (ms) => {
		const s = Math.max(0, Math.round(ms / 1000));
		const two = (n) => String(n).padStart(2, '0');
		const h = Math.floor(s / 3600);
		return (h ? h + ':' + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ':' + two(s % 60);
	};

	const expiry = (lane) => lane.marks.at(-1).expiry;

	// Returns when and why the session of a lane ended, or null while it is alive.
	const ended = (lane) => {
		if (lane.signedOut) return { at: lane.signedOut, why: 'signed out' };
		const at = Math.min(expiry(lane), lane.deadline);
		if (at > now()) return null;
		// Times are in whole milliseconds.
		return { at, why: at > lane.deadline - 10 ? 'absolute end' : 'idle' };
	};

	// ----- the chart

	const element = (parent, name, attributes, text) => {
		const e = document.createElementNS(SVG, name);
		for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
		if (text) e.textContent = text;
		parent.append(e);
		return e;
	};

	// Returns the distance between two labels of the axis, so that each has at least 56 px.
	const axisStep = (life, width) => {
		const least = (life * 56) / width / 1000;
		const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
		return 1000 * (steps.find((s) => s >= least) ?? Math.ceil(least / 86400) * 86400);
	};

	const draw = (side, lane) => {
		const svg = document.querySelector('.lane.' + side + ' > svg');
		const { width, height } = svg.getBoundingClientRect();
		if (!width) return;
		const [left, right, top, base] = [34, width - 8, 24, height - 24];
		const life = lane.deadline - lane.start;
		const x = (t) => +(left + (Math.min(Math.max(t - lane.start, 0), life) / life) * (right - left)).toFixed(1);
		const y = (ms) => +(base - (Math.min(Math.max(ms, 0), idle) / idle) * (base - top)).toFixed(1);
		const end = ended(lane);
		const t = end ? end.at : now();
		const nx = x(now());
		const box = Math.min(Math.max(nx, left + 17), right - 17); // the middle of the label "now"
		const g = document.createElementNS(SVG, 'g');
		const put = (name, attributes, text) => element(g, name, attributes, text);

		// No ping lifts the line beyond this edge: the session would outlive its deadline.
		put('path', { class: 'beyond', d: `M${x(lane.deadline - idle)} ${top}H${right}V${base}z` });
		const step = axisStep(life, right - left);
		for (let at = step; at < life; at += step) {
			const tick = x(lane.start + at);
			put('path', { class: 'grid', d: `M${tick} ${top}V${base}` });
			if (Math.abs(tick - box) > 36) put('text', { x: tick, y: base + 16, 'text-anchor': 'middle' }, clock(at));
		}
		put('path', { class: 'grid', d: `M${left} ${top}H${right}` });
		put('text', { x: left - 6, y: top + 4, 'text-anchor': 'end' }, clock(idle));
		put('text', { x: left - 6, y: base + 4, 'text-anchor': 'end' }, '0:00');

		// The time left rises at each mark and falls between them.
		let line = '';
		lane.marks.forEach((mark, i) => {
			const until = lane.marks[i + 1]?.at ?? t;
			line += `${line ? 'L' : 'M'}${x(mark.at)} ${y(mark.expiry - mark.at)}L${x(until)} ${y(mark.expiry - until)}`;
			if (lane.marks[i + 1])
				put('path', { class: 'missed', d: `M${x(until)} ${y(mark.expiry - until)}L${x(mark.expiry)} ${base}` });
		});
		put('path', { class: 'lived', d: `${line}V${base}H${x(lane.marks[0].at)}z` });
		put('path', { class: 'left', d: line });
		put('path', { class: 'axis', d: `M${left} ${base}H${right}` });
		put('path', { class: 'deadline', d: `M${right} ${top - 6}V${base}` });
		put('text', { class: 'strong', x: right, y: top - 10, 'text-anchor': 'end' }, 'absolute end ' + clock(life));

		for (const mark of lane.marks) {
			const [cx, cy] = [x(mark.at), y(mark.expiry - mark.at)];
			if (mark.kind === 'ping') put('circle', { class: 'ping', cx, cy, r: 4 });
			else put('path', { class: 'request', d: `M${cx} ${cy - 5}l5 5-5 5-5-5z` });
		}

		if (now() < lane.deadline) {
			put('path', { class: 'now', d: `M${nx} ${top - 6}V${base + 4}` });
			put('rect', { class: 'now-box', x: box - 17, y: base + 4, width: 34, height: 17, rx: 3 });
			put('text', { class: 'now-text', x: box, y: base + 16.5, 'text-anchor': 'middle' }, 'now');
		}
		if (end) {
			const [ex, ey] = [x(t), y(end.why === 'signed out' ? expiry(lane) - t : 0)];
			const side = ex < (left + right) / 2 ? 1 : -1;
			put('path', { class: 'end', d: `M${ex - 5} ${ey - 5}l10 10m0-10l-10 10` });
			put(
				'text',
				{ class: 'strong', x: ex + 12 * side, y: Math.min(ey, base - 8) - 2, 'text-anchor': side > 0 ? 'start' : 'end' },
				`ended ${clock(t - lane.start)}, ${end.why}`
			);
		} else {
			const foot = x(expiry(lane));
			const text = 'idle end ' + clock(expiry(lane) - lane.start);
			put('path', { class: 'ahead', d: `M${nx} ${y(expiry(lane) - t)}L${foot} ${base}` });
			// Near the deadline there is no room beside the label of the absolute end.
			if (right - foot > 90) put('text', { class: 'foot', x: foot + 6, y: base - 6 }, text);
		}

		svg.replaceChildren(g);
		const pings = lane.marks.filter((mark) => mark.kind === 'ping').length;
		svg.setAttribute(
			'aria-label',
			`${pings} pings, ${lane.marks.length - pings} requests; ` +
				(end
					? `ended after ${clock(t - lane.start)}: ${end.why}.`
					: `ends ${clock(expiry(lane) - lane.start)} after signing in unless there is another, at ${clock(life)} in any case.`)
		);
		return { end, pings };
	};

	// Changes only texts that differ, or a screen reader would read them again.
	const setText = (e, text) => {
		if (e.textContent !== text) e.textContent = text;
	};

	const show = () => {
		for (const side of SIDES) {
			const lane = data?.[side];
			if (!lane) continue;
			const { end, pings } = draw(side, lane) ?? {};
			const box = document.querySelector('.lane.' + side);
			const fact = (name, text) => setText(box.querySelector(`[data-fact=${name}]`), text);
			box.classList.toggle('ended', Boolean(end));
			fact('idle', clock(expiry(lane) - now()));
			fact('absolute', clock(lane.deadline - now()));
			fact('pings', String(pings));
			const reasons = { idle: 'nothing came in time', 'absolute end': 'its lifetime was over', 'signed out': 'signed out' };
			fact('over', end ? `Ended after ${clock(end.at - lane.start)}: ${reasons[end.why]}.` : '');
		}
	};

	const listMarks = () => {
		const rows = SIDES.flatMap((side) =>
			(data[side]?.marks ?? []).map((mark) => ({
				at: mark.at,
				text: `${clock(mark.at - data[side].start)} ${side}: ${mark.kind}, idle end ${clock(mark.expiry - data[side].start)}`,
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

	// The server knows neither session any more. One that had time left was signed out.
	const markSignedOut = () => {
		for (const lane of [data?.with, data?.without])
			if (lane && !ended(lane) && expiry(lane) - now() > 1000) lane.signedOut = now();
	};

	// A poll, not a stream: over HTTP/1.1 a browser opens six connections to a server, and streams in six tabs would leave
	// none for the pings. Config.Passive has this path, so a poll does not extend the session.
	const poll = async () => {
		if (!document.hidden) {
			let problem = '';
			try {
				const response = await fetch('/timeline', { signal: AbortSignal.timeout(5000) });
				if (response.status === 200) {
					data = await response.json();
					offset = data.now - Date.now();
					listMarks();
					if (data.with && !ended(data.with)) hideExpired();
				} else if (response.status === 204) markSignedOut();
				else problem = `The server answers ${response.status}.`;
			} catch {
				problem = 'The server does not answer; the chart continues from its last answer.';
			}
			setText(document.getElementById('silent'), problem);
			show();
		}
		setTimeout(poll, 1000);
	};

	poll();
	document.addEventListener('visibilitychange', show);
	addEventListener('resize', show);
	setInterval(show, matchMedia('(prefers-reduced-motion: reduce)').matches ? 1000 : 250);

	// ----- what an app does with the events

	const expired = document.getElementById('expired');

	// A user can close the dialog of keepalive, to read and copy; this message stays.
	document.addEventListener('keepalive:expired', () => {
		expired.hidden = false;
		const link = document.createElement('a');
		link.href = '/';
		link.target = '_blank';
		link.textContent = 'Sign in in a new tab';
		expired.replaceChildren('You are signed out. What you wrote is still here. ', link, ', then come back and send it.');
	});

	// A user has signed in again in another tab.
	const hideExpired = () => {
		expired.hidden = true;
	};
	document.addEventListener('keepalive:resumed', hideExpired);

	// A claim that is sent without a session would be lost with the page.
	document.getElementById('claim').addEventListener('submit', (event) => {
		if (expired.hidden) return;
		event.preventDefault();
		expired.focus();
	});
})();
