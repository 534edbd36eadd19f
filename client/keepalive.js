// keepalive.js: an open page keeps its session's idle timeout from firing.
//
// It is loaded as a classic script from the folder that holds the ping:
//
//	<script src="/keepalive/keepalive.js" defer data-idle="1200000" data-warn="120000"></script>
//
//	data-idle  the idle timeout in ms; without it a minute is assumed
//	data-anonymous  optional: the page was sent without a session, so nothing is asked until keepalive:check
//	data-warn  optional, in ms: how long before the end keepalive:warning comes; it must be shorter than data-idle
//
// Events, all on document; those that the script sends bubble and can be cancelled:
//
//	keepalive:ping     this tab was answered. detail is the server's whole answer, {idleMs, lifetimeMs, …}. Tabs that
//	                   learn the answer from another tab get no event: only the one that asked has what came with it.
//	keepalive:warning  less than data-warn is left. detail is {reason: 'idle' | 'lifetime', ms}. Once, and again only
//	                   after the session was extended. An open page sees reason 'idle' only while its pings fail.
//	keepalive:expired  the server said twice that the session is gone. Every open page gets it, once for each end of a
//	                   session. Nothing is asked from then on until a page of the origin is loaded with a session.
//	keepalive:check    the other way round: an app that signs in or out without loading a page dispatches it, and the
//	                   server is asked at once on behalf of all tabs.
//
// The tabs of a browser share one localStorage record. There is no leader: Chromium lets a frozen tab keep a Web Lock
// for ever, so every tab can do everything and a claim in the record says who is asking now.
(() => {
	/**
	 * What the tabs share. Times are Date.now() values: performance.now() stands still on some systems while they sleep.
	 * Any script of the origin can write here, so nothing in it is believed unchecked.
	 * @typedef {object} Shared
	 * @property {number} [at] when the last answered request was sent, or the page was requested
	 * @property {number} [idle] ms from at to the idle expiry
	 * @property {number} [full] what idle was when the session was last extended: a look must not put the next ping off
	 * @property {number|null} [life] ms from at to the session's deadline; not a number where unknown
	 * @property {number} [gone] when the question was sent that was answered with "no session"
	 * @property {number} [claim] when a tab set out to ask
	 * @property {number} [by] the tab of the claim
	 * @property {number} [failed] when the last request failed
	 * @property {number} [fails] failures in a row
	 * @property {number} [after] ms of the last failure's Retry-After
	 * @property {number} [rand] 0 to 1, rolled for each failure: all tabs then agree on the next attempt
	 *
	 * @typedef {object} Config
	 * @property {number} idle
	 * @property {number} warn 0 for none
	 *
	 * @typedef {object} Tab
	 * @property {boolean} [hidden]
	 * @property {boolean} [prerendering]
	 * @property {boolean} [offline]
	 * @property {number} [woken] when the user or the network last came back; 0 for never
	 * @property {number} rand 0 to 1, one number for the page's life
	 *
	 * @typedef {object} Step
	 * @property {''|'GET'|'POST'} ask what to ask the server now: POST extends, GET looks
	 * @property {boolean} gone
	 * @property {number} until when to plan again at the latest
	 * @property {number} end when the session ends if nothing happens
	 * @property {''|'idle'|'lifetime'} warn the end that is so near that the user should know
	 */

	const SECOND = 1000;
	// Chromium wakes hidden pages once a minute, and a timer set before the machine slept fires late by the time slept.
	const SLICE = 60 * SECOND;
	const TIMEOUT = 10 * SECOND;
	// After the request's end, so that a slow answer is not asked for twice.
	const CLAIM = TIMEOUT + 2 * SECOND;
	// Knowledge younger than this is not verified when the user comes back.
	const QUIET = 5 * SECOND;
	// Clocks of two processes differ a little; a time further ahead means that the clock was set back.
	const SKEW = 10 * SECOND;

	const count = (x) => Number.isFinite(x) && x >= 0;

	/**
	 * Decides what to do now and when to think again. Pure: all time, chance and surroundings come in as arguments.
	 * @type {(state: Shared|null|undefined, now: number, config: Config, tab: Tab) => Step}
	 */
	const plan = (state, now, config, tab) => {
		const s = state || {};
		const number = (x) => (count(x) ? x : 0);
		const past = (x) => (number(x) > now + SKEW ? 0 : number(x));
		const at = past(s.at);
		const failed = past(s.failed);
		const woken = past(tab.woken);
		const after = failed > at ? number(s.after) : 0;
		const rand = number(s.rand) % 1;
		// data-idle bounds them, so that no record, however wrong, can put a ping off.
		const idle = Math.min(number(s.idle), config.idle);
		const full = Math.min(Math.max(number(s.full), idle), config.idle);
		const life = count(s.life) ? at + s.life : Infinity;
		const end = Math.min(at + idle, life);
		const warnAt = end - config.warn;
		// Stores round the expiry. Within a second of the deadline a ping has nothing to gain: look instead.
		const capped = life - at - idle < SECOND;

		let due = capped
			? Math.min(life, at + config.idle / 2, at < warnAt - QUIET ? warnAt : life)
			: // Hidden tabs come last, so that a visible one, whose timers are exact, usually has pinged before.
				at + idle - (full / 2) * (1 + tab.rand / 10) + (tab.hidden ? full / 20 : 0);
		/** @type {'GET'|'POST'} */
		const method = capped || due > now ? 'GET' : 'POST';
		// A page load tells nothing of the deadline, and one cannot warn of what one does not know.
		if (config.warn && life === Infinity) due = 0;
		if (failed > at) {
			// With nothing left only the wait for the server's word remains.
			const left = end > failed ? end - failed : config.idle;
			due = Math.max(
				due,
				failed + rand * Math.min(SECOND * 2 ** number(s.fails), left / 4),
				failed + Math.min(after * (1 + rand / 10), left / 2)
			);
		}
		if (woken > failed && woken - at > QUIET && !after) due = 0;
		due = Math.max(
			due,
			// navigator.onLine is wrong with some virtual networks, so it slows the attempts and never stops them.
			Math.max(at, failed) + (tab.offline ? SLICE : SECOND),
			// A tab that was killed while it asked must not cost a short session its life.
			past(s.claim) + Math.min(CLAIM, config.idle / 4)
		);

		const gone = past(s.gone) > at && !tab.prerendering;
		// The lifetime's end must have been confirmed just before; the idle end is only reached when pings fail.
		const near = config.warn && now >= warnAt && (failed > at || (capped && at >= warnAt - QUIET));
		return {
			ask: due > now || gone || tab.prerendering ? '' : method,
			gone,
			until: due > now ? Math.min(due, warnAt > now ? warnAt : due) : now + SLICE,
			end,
			warn: near && !tab.prerendering ? (capped ? 'lifetime' : 'idle') : '',
		};
	};

	// Without a page, in the tests, the function is all there is to have.
	// @ts-ignore
	if (typeof document === 'undefined') return plan;

	const script = /** @type {HTMLScriptElement|null} */ (document.currentScript);
	if (!script || !script.src) return;
	const url = new URL('ping', script.src).href;
	const key = 'keepalive:' + url;

	// Soft navigation may run the script again in the same window. It did so because the server sent it once more: the
	// page that is on screen has a session, whatever was known before.
	const guard = Symbol.for(key);
	if (window[guard]) return window[guard]('anonymous' in script.dataset);

	/** @type {Config} */
	const config = { idle: +script.dataset.idle || SLICE, warn: +script.dataset.warn || 0 };
	const id = Math.random();
	// The server sent the page without a session: it waits until the app says that there is one.
	let anonymous = 'anonymous' in script.dataset;
	let woken = Date.now(); // until the page is known to come from the server, see below
	let busy = false;
	let stopped = false;
	let expired = false;
	let warned = '';
	let timer = 0;
	let alone = false; // localStorage refuses: this tab keeps the record for itself
	let memory = '';

	const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

	const emit = (name, detail) =>
		document.dispatchEvent(new CustomEvent('keepalive:' + name, { detail, bubbles: true, cancelable: true }));

	/** @returns {Shared} */
	const read = () => {
		try {
			return JSON.parse(alone ? memory : localStorage.getItem(key)) || {};
		} catch {
			return {};
		}
	};

	/** @param {Shared} record */
	const write = (record) => {
		memory = JSON.stringify(record);
		try {
			localStorage.setItem(key, memory);
			alone = localStorage.getItem(key) !== memory;
		} catch {
			alone = true;
		}
	};

	const think = () =>
		plan(read(), Date.now(), config, {
			hidden: document.hidden,
			// @ts-ignore
			prerendering: document.prerendering,
			offline: !navigator.onLine,
			woken,
			rand: id,
		});

	// An answer counts only while the claim stands under which it was asked for. Otherwise somebody has asked since, or
	// wants a new answer.
	/** @param {Shared} changes */
	const save = (changes) => {
		const record = read();
		if (record.by === id) write({ ...record, ...changes });
	};

	const halt = (message) => {
		if (!stopped) console.error('keepalive stopped: ' + url + message);
		stopped = true;
	};

	const tick = () => {
		if (stopped || anonymous) return;
		const step = think();
		const news = step.gone && !expired;
		expired = step.gone;
		if (news) emit('expired');
		if (step.gone) return;
		const reason = warned ? '' : step.warn;
		const ms = step.end - Date.now();
		warned = step.warn;
		if (reason && ms > 0) emit('warning', { reason, ms });
		if (step.ask && !busy) ask();
		clearTimeout(timer);
		timer = setTimeout(tick, Math.min(step.until - Date.now(), SLICE));
	};

	// Resolves to the method to ask with, or '' when another tab does it. The lock is null when another tab holds it:
	// for a moment, or for ever if it was frozen just then. Where it is missing, the claim alone is nearly as good.
	const claim = async (lock) => {
		if (lock === null) await sleep(200);
		const { ask } = think();
		if (!ask) return '';
		write({ ...read(), claim: Date.now(), by: id });
		// Engines need some ms to show the record to their other processes, and the lock may be faster. If two tabs
		// have claimed by then, the last writer asks.
		await sleep(50);
		return read().by === id ? ask : '';
	};

	const request = async (method) => {
		const sent = Date.now();
		try {
			const response = await fetch(url, {
				method,
				redirect: 'manual',
				cache: 'no-store',
				signal: AbortSignal.timeout?.(TIMEOUT),
			});
			const { status } = response;
			const retry = response.headers.get('Retry-After');
			return {
				sent,
				status,
				gone: status === 401 || status === 410 || response.type === 'opaqueredirect',
				body: status === 200 ? await response.json() : null,
				after: +retry * SECOND || Date.parse(retry) - Date.now(), // RFC 9110, 10.2.3: seconds or a date
			};
		} catch {
			return { sent };
		}
	};

	const ask = async () => {
		busy = true;
		try {
			let method;
			try {
				method = await Promise.race([navigator.locks.request(key, { ifAvailable: true }, claim), sleep(QUIET)]);
			} catch {}
			if (method === undefined) method = await claim();
			if (method) {
				let reply = await request(method);
				if (reply.gone) {
					// The token may have been renewed while the question was on its way with the old one.
					// The claim must outlive the pause and the second request, or tabs take it from each other and none
					// ever knows.
					save({ claim: Date.now() + 2 * SECOND });
					await sleep(SECOND);
					save({ claim: Date.now() });
					reply = await request(method);
				}
				const { body } = reply;
				if (reply.gone) {
					save({ gone: reply.sent, idle: 0, claim: 0 });
				} else if (reply.status === 403) {
					save({ claim: 0 });
					halt(' answered 403: the server sees another origin. Check the Host that a proxy sends on, or Config.CrossOrigin.');
				} else if (body && count(body.idleMs) && count(body.lifetimeMs)) {
					save({
						at: reply.sent, // not the time of arrival: the server counted from before that
						idle: body.idleMs,
						life: body.lifetimeMs,
						...(method === 'POST' && { full: body.idleMs }),
						claim: 0,
						fails: 0,
					});
					emit('ping', body);
				} else {
					// A body that is none of ours is not the server's word: a captive portal answers 200 with its own.
					save({ claim: 0, failed: Date.now(), fails: (+read().fails || 0) + 1, after: reply.after, rand: Math.random() });
				}
			}
		} catch {}
		tick();
		// Whatever became of the answer, a tab asks once a second at most.
		await sleep(SECOND);
		busy = false;
		tick();
	};

	const wake = (event) => {
		if (event.persisted !== false && !(document.hidden && event.type === 'visibilitychange')) woken = Date.now();
		tick();
	};

	const forget = (still) => {
		anonymous = still === true;
		write({});
		tick();
	};

	window[guard] = forget;
	for (const type of ['pageshow', 'focus', 'online']) addEventListener(type, wake);
	for (const type of ['visibilitychange', 'resume']) document.addEventListener(type, wake);
	document.addEventListener('prerenderingchange', tick);
	document.addEventListener('keepalive:check', forget);
	addEventListener('storage', (event) => {
		if (event.key === key) tick();
	});
	document.addEventListener('securitypolicyviolation', (event) => {
		if (event.blockedURI === url && event.disposition === 'enforce')
			halt(" is blocked by Content-Security-Policy: connect-src must allow 'self'.");
	});

	// A page that came from the server has extended the session, but for the touches that the server skips because they
	// would gain too little. 304 counts: engines report the header's size then, and 0 for a page out of their cache.
	// Behind a service worker, or where an engine tells too little, one ping more is made.
	try {
		const page = /** @type {any} */ (performance.getEntriesByType('navigation')[0]);
		if (!anonymous && page.transferSize > 0 && page.type !== 'back_forward' && !page.deliveryType && !page.workerStart) {
			// performance.timeOrigin drifts in a browser that runs for days (w3c/hr-time#115).
			const at = Date.now() - performance.now() + page.requestStart;
			woken = 0;
			const idle = config.idle - Math.min(config.idle / 20, SLICE);
			const record = read();
			const life = record.at + record.life - at;
			// A deadline that is far away is worth remembering, for keepalive:warning. A near one may be that of a session
			// before this one; without it the server is asked in time.
			if (think().end < at + idle)
				write({ ...record, at, idle, full: idle, life: life > 2 * config.idle ? life : null, fails: 0 });
		}
	} catch {}
	if (anonymous && think().end > Date.now()) write({}); // the other tabs believe in a session: let them ask
	tick();
})();
