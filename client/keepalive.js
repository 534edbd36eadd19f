// keepalive.js: an open page keeps its session's idle timeout from firing.
//
// It is loaded as a classic script from the folder that holds the ping:
//
//	<script src="/keepalive/keepalive.js" defer data-idle="1200000" data-warn="120000"></script>
//
//	data-idle  the idle timeout in ms; without it a minute is assumed
//	data-mode  "visible": only a visible page extends the session; "active": only real input does. Default: open pages do
//	data-max   optional, in ms: without input for so long, the page no longer extends the session
//	data-warn  optional, in ms, at least 20,000: how long before the end the user is warned; shorter than data-idle
//	data-blank      optional: the page of an ended session loses its content
//	data-presence   optional: "path" or "query", what the page says of itself; keepalive.min.js says nothing
//	data-anonymous  optional: the page was sent without a session, so nothing is asked until keepalive:check
//
// What a page can see of it, window.keepalive and the events, is described in keepalive.d.ts. The dialogs are a document
// in the same folder. Loaded as keepalive.js?debug, the script is this file, which logs each decision with its reason;
// what is labelled DEBUG is in none of the minified ones, and what is labelled PRESENCE in presence.min.js only.
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
	 * @property {number} [life] the session's deadline; 0 where unknown
	 * @property {number} [gone] when the question was sent that was answered with "no session"
	 * @property {number} [input] when somebody last used a page of the browser
	 * @property {number} [claim] when a tab set out to ask
	 * @property {number} [by] the tab of the claim
	 * @property {number} [failed] when the last request failed
	 * @property {number} [fails] failures in a row
	 * @property {number} [after] ms of the last failure's Retry-After
	 * @property {number} [rand] 0 to 1, rolled for each failure: all tabs then agree on the next attempt
	 *
	 * @typedef {object} Config
	 * @property {number} idle
	 * @property {string} [mode] '', 'visible' or 'active'
	 * @property {number} [max] without input for so long, the page no longer extends the session; 0 for no limit
	 * @property {number} warn 0 for none
	 *
	 * @typedef {object} Tab
	 * @property {boolean} [hidden]
	 * @property {boolean} [offline]
	 * @property {number} [woken] when the user or the network last came back; 0 for never
	 * @property {number} [input] when somebody last used this page; 0 for never
	 * @property {boolean} [stay] the user has asked to stay, and got no answer yet
	 * @property {boolean} [look] an answer is wanted in this tab
	 * @property {number} rand 0 to 1, one number for the page's life
	 *
	 * @typedef {object} Step
	 * @property {''|'GET'|'POST'} ask what to ask the server now: POST extends, GET looks
	 * @property {boolean} gone
	 * @property {number} until when to plan again at the latest
	 * @property {number} end when the session ends if nothing happens
	 * @property {''|'idle'|'lifetime'} reason which end is so near that the user should know; of gone, which had passed
	 * @property {boolean} failing the last question got no answer
	 * @property {number} input when somebody last used a page of the browser; 0 for never
	 * @property {string} [why] for the log: what decided
	 */

	const { max, min, random } = Math;
	const SECOND = 1000;
	// Chromium wakes hidden pages once a minute, and a timer set before the machine slept fires late by the time slept.
	const SLICE = 60 * SECOND;
	const TIMEOUT = 10 * SECOND;
	// After the request's end, so that a slow answer is not asked for twice.
	const CLAIM = 12 * SECOND;
	// Knowledge younger than this is not verified when the user comes back.
	const QUIET = 5 * SECOND;

	/**
	 * Decides what to do now and when to think again. Pure: all time, chance and surroundings come in as arguments.
	 * @type {(state: Shared|null|undefined, now: number, config: Config, tab: Tab) => Step}
	 */
	const plan = (state, now, config, tab) => {
		const s = state || {};
		const number = (x, top = Infinity) => (x >= 0 && x < top ? +x : 0);
		// Clocks of two processes differ a little; a time further ahead means that the clock was set back.
		const past = (x) => number(x, now + CLAIM);
		const at = past(s.at);
		const failed = past(s.failed);
		const gone = past(s.gone);
		const woken = past(tab.woken);
		const failing = failed > at;
		const after = failing ? number(s.after) : 0;
		const rand = number(s.rand) % 1;
		// data-idle bounds them, so that no record, however wrong, can put a ping off.
		const idle = min(number(s.idle), config.idle);
		const full = min(max(number(s.full), idle), config.idle);
		const life = number(s.life) || Infinity;
		const end = min(at + idle, life);
		const warnAt = end - config.warn;
		const asked = tab.stay || tab.look;
		// Stores round the expiry. Within a second of the deadline a ping has nothing to gain: look instead.
		const capped = life - at - idle < SECOND;
		// Nor may it gain where nobody is there, by what the mode calls so.
		const input = max(past(s.input), past(tab.input));
		const rest =
			config.mode === 'active'
				? !input || input + config.idle < at + idle + SECOND
				: (config.mode && tab.hidden) || (config.max && now - input > config.max);
		const hold = capped || rest;
		// Hidden tabs come last, so that a visible one, whose timers are exact, usually has asked before.
		const late = tab.hidden ? full / 20 : 0;

		let due = hold
			? min(end, at < warnAt - QUIET ? min(warnAt, at + config.idle / 2 + late) : at + SLICE / 2)
			: at + idle - (full / 2) * (1 + tab.rand / 10) + late;
		const method = !capped && (tab.stay || !(rest || tab.look || due > now)) ? 'POST' : 'GET';
		DEBUG: var why = capped ? 'a ping would gain nothing before the deadline' : rest ? 'nobody is there' : 'half of the time left';
		// A page load tells nothing of the deadline, and one cannot warn of what one does not know.
		if (asked || (config.warn && life === Infinity)) {
			due = 0;
			DEBUG: why = tab.stay ? 'stay' : tab.look ? 'look' : 'the deadline is unknown';
		}
		if (failing) {
			// With nothing left only the wait for the server's word remains.
			const left = end > failed ? end - failed : config.idle;
			due = max(
				due,
				failed + rand * min(SECOND * 2 ** number(s.fails), left / 4),
				failed + min(after * (1 + rand / 10), left / 2)
			);
			DEBUG: why += ', after failures';
		}
		if (woken > failed && (asked || (woken - at > QUIET && !after))) {
			due = 0;
			DEBUG: why = asked ? why : 'the user or the network is back';
		}
		DEBUG: var free = due;
		due = max(
			due,
			// navigator.onLine is wrong with some virtual networks, so it slows the attempts and never stops them.
			max(at, failed) + (tab.offline ? SLICE : SECOND),
			// A tab that was killed while it asked must not cost a short session its life.
			past(s.claim) + min(CLAIM, config.idle / 4)
		);
		DEBUG: if (due > free) why += ', but a tab has just asked';
		DEBUG: if (gone > at) why = 'the session is gone';
		const kind = capped ? 'lifetime' : 'idle';
		/** @type {Step} */
		const step = {
			ask: due > now || gone > at ? '' : method,
			gone: gone > at,
			until: due > now ? min(due, warnAt > now ? warnAt : due) : now + SLICE,
			end,
			// An end that no ping may prevent must have been confirmed just before; another is only reached when pings fail.
			reason: (
				gone > at ? at && gone > end - SECOND : config.warn && now >= warnAt && (failing || (hold && at >= warnAt - QUIET))
			)
				? kind
				: '',
			failing,
			input,
		};
		DEBUG: step.why = why;
		return step;
	};

	// Without a page, in the tests, the function is all there is to have.
	// @ts-ignore
	if (typeof document === 'undefined') return plan;

	// Not there in a module or an inline script, which is an error in the console then.
	const script = /** @type {HTMLScriptElement} */ (document.currentScript);
	const data = script.dataset;
	const url = new URL('ping', script.src).href;
	const key = 'keepalive:' + url;

	// Soft navigation (Turbo) may run the script again in the same window. It did so because the server sent it once
	// more: the page that is on screen has a session, or has none, whatever was known before. As it only runs elements
	// that the page has not got, this one goes.
	const guard = Symbol.for(key);
	script.remove();
	// The server sent the page without a session: it waits until the app says that there is one.
	let anonymous = 'anonymous' in data;
	if (window[guard]) return window[guard](anonymous);

	/** @type {Config} */
	const config = {
		idle: +data.idle || SLICE,
		mode: data.mode,
		max: +data.max,
		// @ts-ignore: it makes a number of it
		warn: data.warn ? max(data.warn, 20 * SECOND) : 0, // WCAG 2.2.1
	};
	const active = config.mode === 'active';
	const page = document.documentElement;
	const rand = random();
	/** @type {''|'idle'|'lifetime'|'gone'} what the user was told */
	let mood = anonymous ? 'gone' : '';
	let woken = Date.now(); // until the page is known to come from the server, see below
	let input = active ? 0 : woken; // a page may have been opened by nobody
	let noted = 0; // the input that the other tabs know of
	let stay = false;
	let look = false;
	let busy = false;
	let stopped = false;
	let timer = 0;
	let memory = ''; // the record, where localStorage refuses: then this tab keeps it for itself

	const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

	const emit = (name, detail) =>
		document.dispatchEvent(new CustomEvent('keepalive:' + name, { detail, bubbles: true, cancelable: true }));

	/** @returns {Shared} */
	const get = () => {
		try {
			return JSON.parse(memory || localStorage.getItem(key)) || {};
		} catch {
			return {};
		}
	};

	/** @param {Shared} record */
	const put = (record) => {
		memory = JSON.stringify(record);
		try {
			localStorage.setItem(key, memory);
			if (localStorage.getItem(key) === memory) memory = '';
		} catch {}
	};

	// An answer counts only while the claim stands under which it was asked for. Otherwise somebody has asked since, or
	// wants a new answer.
	/** @param {Shared} changes */
	const save = (changes) => {
		const record = get();
		if (record.by === rand) put({ ...record, claim: 0, ...changes });
	};

	const think = () =>
		plan(get(), Date.now(), config, { hidden: document.hidden, offline: !navigator.onLine, woken, input, stay, look, rand });

	const stop = () => {
		stopped = true;
		hide();
	};

	// What is in the way is for the server's configuration to change; the README explains both.
	const halt = (why) => {
		console.error('keepalive stopped:', why);
		stop();
	};

	// The dialogs are a document that the server writes in the page's language: one for each id, ready to be shown.
	let dialogs, host, dialog, wanted, spoken;

	const load = () => {
		const request = new XMLHttpRequest();
		request.open('GET', url + '/../dialog?' + page.lang);
		request.responseType = 'document'; // which Trusted Types allow
		request.onload = () => {
			// A page of a proxy's, or one to sign in, is not it: then the next tick asks again.
			if (request.response?.getElementById('gone')) {
				dialogs = request.response;
				tick();
			}
		};
		request.send();
	};

	const hide = () => {
		wanted = false;
		if (!host) return;
		dialog.close(); // gives the focus back
		host.remove();
		host = 0;
	};

	// Tells the user what has changed.
	const tell = ({ end, gone, reason, failing }) => {
		const was = mood;
		const ms = end - Date.now();
		// Past the end nobody knows better until the server has spoken.
		mood = gone ? 'gone' : ms > 0 ? reason : mood;
		if (mood !== was) {
			hide();
			if (!mood) {
				look = was === 'gone'; // what the page knows may belong to the session before
				emit('resumed');
			} else wanted = emit(gone ? 'expired' : 'warning', { reason, ms: gone ? 0 : ms });
			if (wanted && gone && data.blank) {
				document.body?.remove();
				document.title = location.host;
			}
		}
		// A page in a frame of one that runs the script leaves it to that.
		if (wanted && !(frameElement && parent[guard])) {
			if (!dialogs) return load();
			wanted = false;
			dialog = dialogs.getElementById(mood + (gone ? reason : '')).cloneNode(true);
			dialog.oncancel = mood === 'idle' && remain; // Escape
			dialog.onclick = (event) => event.target.name && (dialog.oncancel || hide)();
			dialog.onsubmit = () => emit('logout');
			// In a shadow tree beside body neither the page's styles nor soft navigation reach it.
			host = document.createElement('keepalive-dialog');
			const root = host.attachShadow({ mode: 'open' });
			root.append(dialog);
			page.append(host);
			spoken = -1;
			dialog.showModal();
			const sheet = new CSSStyleSheet();
			sheet.replaceSync(dialogs.head.textContent);
			root.adoptedStyleSheets = [sheet];
			stopped = gone && !!data.blank; // there is nothing left to go on with
		}
		if (!host || gone) return;
		// Each second for the eye. For the ear every half minute, and when 20 s are left.
		const seconds = Math.ceil(max(1, ms / SECOND));
		const [text, offline, status] = dialog.querySelectorAll('p');
		let time = seconds + ' s';
		try {
			// @ts-ignore
			time = new Intl.DurationFormat(dialog.lang, { style: 'long' }).format({ minutes: (seconds / 60) | 0, seconds: seconds % 60 });
		} catch {}
		text.querySelector('time').textContent = time;
		offline.hidden = !failing;
		const mark = seconds > 20 && Math.ceil(seconds / 30);
		if (mark !== spoken) status.textContent = text.textContent;
		spoken = mark;
	};

	// Who is on which page: each tab has a name, which goes with it over its pages, and not to a copy of the tab.
	PRESENCE: {
		var tab, place, told, left;
		const send = (what, words) => navigator.sendBeacon(url + '/../' + what, new URLSearchParams({ tab, sent: Date.now(), ...words }));
		addEventListener('pageshow', () => (left = false));
		addEventListener('pagehide', () => {
			left = true; // and more events may come
			if (!tab) return;
			send('leave');
			try {
				sessionStorage[key] = tab;
			} catch {}
			tab = '';
		});
		var here = () => {
			if (!data.presence || left) return;
			const page = location.pathname + (data.presence === 'query' ? location.search : '');
			if (tab && page === place && Date.now() - told < min(config.idle / 2, SLICE - QUIET)) return;
			if (!tab) {
				tab = random().toString(36).slice(2);
				try {
					tab = sessionStorage[key] || tab;
					delete sessionStorage[key];
				} catch {}
			}
			place = page;
			told = Date.now();
			send('here', { page });
		};
		// Where an engine does not tell of soft navigation, the next minute does.
		addEventListener('popstate', () => tick());
		// @ts-ignore
		window.navigation?.addEventListener('currententrychange', () => tick());
	}

	const tick = () => {
		// @ts-ignore
		if (stopped || anonymous || document.prerendering) return;
		let step = think();
		try {
			tell(step);
		} catch {} // an engine without some part of it keeps the session all the same
		if (look) step = think();
		DEBUG: console.debug('keepalive:', step.ask || 'wait', step.why, step, get());
		if (step.gone) return;
		PRESENCE: here();
		if (step.ask && !busy) ask();
		clearTimeout(timer);
		timer = setTimeout(tick, min(step.until - Date.now(), host ? SECOND : SLICE));
	};

	// Resolves to the method to ask with, or '' when another tab does it. The lock is null when another tab holds it:
	// for a moment, or for ever if it was frozen just then. Where it is missing, the claim alone is nearly as good.
	const claim = async (lock) => {
		if (lock === null) await sleep(200);
		const { ask } = think();
		if (ask) {
			put({ ...get(), claim: Date.now(), by: rand });
			// Engines need some ms to show the record to their other processes, and the lock may be faster. If two tabs
			// have claimed by then, the last writer asks.
			await sleep(50);
		}
		return get().by === rand ? ask : '';
	};

	const request = async (method, again) => {
		const sent = Date.now();
		const stayed = stay;
		let response, body;
		try {
			response = await fetch(url, {
				method,
				// How long nobody has used the page: the server counts the idle timeout from then.
				body: active && method === 'POST' && !stay ? 'inactive=' + (sent - think().input) : undefined,
				redirect: 'manual',
				signal: AbortSignal.timeout?.(TIMEOUT),
			});
			body = await response.json();
		} catch {}
		DEBUG: console.debug('keepalive:', method, 'answered', response, body);
		const status = response?.status;
		// 0 is a redirect.
		if (status === 0 || status === 401 || status === 410) {
			if (again) {
				stay = look = false;
				return save({ gone: sent });
			}
			// The token may have been renewed while the question was on its way with the old one.
			// The claim must outlive the pause and the second request, or tabs take it from each other and none
			// ever knows.
			save({ claim: Date.now() + 2 * SECOND });
			await sleep(SECOND);
			await request(method, true);
		} else if (status === 403) {
			halt(403);
		} else if (status === 200 && body?.idleMs >= 0 && body.lifetimeMs >= 0) {
			save({
				at: sent, // not the time of arrival: the server counted from before that
				idle: body.idleMs,
				life: sent + body.lifetimeMs,
				...(method === 'POST' && { full: body.idleMs }),
				fails: 0,
			});
			if (stayed) {
				stay = false;
				note(sent);
			}
			tick();
			look = false; // even if it was wanted just now: this is the answer
			emit('ping', body);
		} else {
			// A body that is none of ours is not the server's word: a captive portal answers 200 with its own.
			const retry = response?.headers.get('retry-after');
			save({
				failed: Date.now(),
				fails: -~get().fails, // of whatever stands there
				after: +retry * SECOND || Date.parse(retry) - Date.now(), // RFC 9110, 10.2.3: seconds or a date
				rand: random(),
			});
		}
	};

	const ask = async () => {
		busy = true;
		const lock = navigator.locks?.request(key, { ifAvailable: true }, claim);
		const method = (await Promise.race([lock, sleep(QUIET)]).catch(() => {})) ?? (await claim());
		if (method) await request(method);
		tick();
		// Whatever became of the answer, a tab asks once a second at most.
		await sleep(SECOND);
		busy = false;
		tick();
	};

	const note = (at) => {
		input = at;
		if (at - noted > QUIET) {
			noted = at;
			put({ ...get(), input });
			tick();
		}
	};

	const on = (types, f, capture) => types.map((type) => addEventListener(type, f, capture));

	// While the user is asked, input changes nothing: the dialog must not go under a click. While the dialog is still
	// to come, it does. Engines send pointermove also
	// where the page has moved under a pointer that rests.
	if (active || config.max)
		on(
			['pointerdown', 'pointermove', 'keydown', 'wheel'],
			(event) => {
				if (event.isTrusted && (!mood || wanted) && (event.type !== 'pointermove' || event.movementX || event.movementY)) note(Date.now());
			},
			true
		);

	const check = () => {
		anonymous = stopped = false;
		look = true;
		PRESENCE: told = 0;
		put({ input });
		tick();
	};

	const remain = () => {
		stay = true;
		woken = Date.now();
		tick();
		return false; // Escape does not close the dialog: the answer does
	};

	// @ts-ignore
	window.keepalive = {
		stay: remain,
		look: check,
		stop,
		get state() {
			return think();
		},
	};
	window[guard] = (none) => {
		if (none) {
			anonymous = true;
			mood = 'gone';
			hide();
		} else if (mood === 'gone') check();
	};
	on(['pageshow', 'focus', 'online', 'visibilitychange', 'resume'], (event) => {
		if (event.persisted !== false && !(document.hidden && event.type === 'visibilitychange')) woken = Date.now();
		tick();
	});
	on(['storage'], (event) => event.key === key && tick());
	on(['securitypolicyviolation'], (event) => {
		if (event.blockedURI === url && event.disposition === 'enforce') halt('connect-src');
	});
	document.addEventListener('prerenderingchange', tick);
	document.addEventListener('keepalive:check', check);

	// A page that came from the server has extended the session, but for the touches that the server skips because they
	// would gain too little. 304 counts: engines report the header's size then, and 0 for a page out of their cache.
	// Behind a service worker, or where an engine tells too little, one ping more is made.
	try {
		const visit = /** @type {any} */ (performance.getEntriesByType('navigation')[0]);
		if (!anonymous && visit.transferSize && visit.type !== 'back_forward' && !visit.deliveryType && !visit.workerStart) {
			// performance.timeOrigin drifts in a browser that runs for days (w3c/hr-time#115).
			const at = Date.now() - performance.now() + visit.requestStart;
			woken = 0;
			const idle = config.idle - min(config.idle / 20, SLICE);
			const record = get();
			// A deadline that is far away is worth remembering, for the warning. A near one may be that of a session
			// before this one; without it the server is asked in time.
			put({ ...record, at, idle, full: idle, life: record.life > at + 2 * idle ? record.life : 0, fails: 0 });
			// Firefox may report that later. Until then the page must not believe that the session before this one is still gone.
		} else if (!anonymous && visit.type !== 'back_forward' && think().gone) check();
	} catch {}
	if (anonymous && think().end > Date.now()) put({}); // the other tabs believe in a session: let them ask
	if (config.warn) load(); // as long as the server can be reached
	tick();
})();
