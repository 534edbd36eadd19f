// A page as the script finds it, on top of host, which is the fake browser, and page, which says how it was opened.
globalThis.window = globalThis;
const heard = new WeakMap();
const listeners = (target, type) => {
	if (!heard.has(target)) heard.set(target, {});
	const all = heard.get(target);
	return (all[type] = all[type] || new Set());
};
const eventTarget = {
	addEventListener(type, f) { listeners(this || window, type).add(f); },
	removeEventListener(type, f) { listeners(this || window, type).delete(f); },
	dispatchEvent(event) {
		host.event(event.type, JSON.stringify(event.detail));
		event.target = event.target || this;
		for (const f of listeners(this, event.type)) f(event);
		if (this === document) for (const f of listeners(window, event.type)) f(event); // all of a document's events bubble, but those that only it hears
		return page.dialogs;
	},
	// Sends what a document hears of a frame in it that has loaded.
	loaded(frame) { for (const f of listeners(this, 'load')) f({type: 'load', target: frame}); },
};
Object.assign(globalThis, eventTarget);
// A frame of the same origin, and one of another, which knows nothing but what every window knows.
globalThis.newFrame = () => Object.assign({document: Object.assign({}, eventTarget)}, eventTarget);
globalThis.foreignFrame = () => new Proxy({}, {get: () => { throw new TypeError('another origin'); }});
// What document.open() does to the listeners of a frame.
globalThis.openAnew = (frame) => { heard.delete(frame); heard.delete(frame.document); };
globalThis.origin = 'https://example.org';
globalThis.document = Object.assign({}, eventTarget, {
	currentScript: {getAttribute: () => '/keepalive/keepalive.abc.js', dataset: page.dataset, remove() {}},
	documentElement: {lang: 'en', style: {display: '', setProperty(name, value) { this[name] = value; }}, replaceChildren() { host.blank(); }},
	hidden: page.hidden, prerendering: page.prerendering,
});
globalThis.Document = {prototype: document}; // what the script reads of it no element can hide
globalThis.CustomEvent = class { constructor(type, init) { Object.assign(this, init, {type}); } };
globalThis.URL = class {
	constructor(to, base) {
		if (!/^([.]|ping|extras|\/.*)$/.test(to)) throw new Error('odd URL ' + to);
		const [, host, folder] = /^(https?:..[^/]*)?(.*\/)/.exec(base.pathname || base);
		this.pathname = to === '.' ? folder : to;
		this.href = host + folder + to;
	}
};
globalThis.AbortSignal = {timeout: (ms) => ms};
globalThis.AbortController = class {
	constructor() { this.signal = {aborted: false}; }
	abort() { this.signal.aborted = true; }
};
globalThis.console = {error: (...words) => host.error(words.join(' ')), warn: (...words) => host.warn(words.join(' ')), debug: host.debug};
const openedAt = Date.now() - 300;
globalThis.performance = {
	now: () => Date.now() - openedAt,
	getEntriesByType: () => [{
		name: origin + '/orders', type: page.kind, transferSize: page.cached ? 0 : 900, encodedBodySize: 600, deliveryType: '', workerStart: 0, requestStart: 50,
		serverTiming: page.timing || [],
	}],
};
const observed = new Set();
globalThis.PerformanceObserver = class {
	constructor(f) { this.f = f; }
	observe({type}) {
		if (type !== 'resource') throw new Error('odd type ' + type);
		observed.add(this.f);
	}
};
// Sends what a page hears of a request of its app that has just been answered.
globalThis.requested = (fields) => {
	const entry = {
		name: origin + '/orders', transferSize: 400, encodedBodySize: 100, deliveryType: '', workerStart: 0, requestStart: performance.now() - 50, ...fields,
	};
	for (const f of observed) f({getEntries: () => [entry]});
};
globalThis.localStorage = {getItem: host.getItem, setItem: host.setItem};
globalThis.setTimeout = host.setTimeout;
globalThis.clearTimeout = host.clearTimeout;
// Stands for the module dialog.js, and says what it was to show: only real browsers can.
let shown = '';
const dialogModule = {
	update: ({notice}, {onInput}) => {
		if (onInput) inputModule.followInput(onInput); // the real one
		if (notice !== shown && notice) host.dialog(notice);
		shown = notice;
	},
	isOpen: () => shown !== '',
};
globalThis.importModule = (url) => new Promise((resolve, reject) =>
	host.import(url, () => resolve(url.includes('extras') ? extrasModule : dialogModule), () => reject(new TypeError('import'))));
globalThis.navigator = {sendBeacon: (url, body) => host.report('beacon', url, JSON.stringify(body.fields))};
globalThis.Request = class {};
if (!page.oldEngine) Request.prototype.keepalive = false;
globalThis.URLSearchParams = class { constructor(fields) { this.fields = fields; } };
globalThis.location = {pathname: '/orders', search: '?open=1', hash: '#/new'};
globalThis.sessionStorage = {
	getItem: (key) => page.session[key] || null,
	setItem: (key, value) => { page.session[key] = value; },
	removeItem: (key) => { delete page.session[key]; },
};
if (page.locks) navigator.locks = {
	request: (name, options, f) => new Promise((resolve, reject) => host.lock(name, (got) => {
		const release = () => got && host.unlock(name);
		Promise.resolve(f(got ? {name} : null)).then((v) => { release(); resolve(v); }, (e) => { release(); reject(e); });
	})),
};
globalThis.fetch = (url, options) => new Promise((resolve, reject) => {
	if (options.keepalive) return resolve(host.report('fetch', url, JSON.stringify(options.body.fields)));
	if (!/^https:..example.org(.admin)?.keepalive.ping$/.test(url) || options.redirect !== 'manual' || options.headers) throw new Error('odd request to ' + url);
	host.fetch(url, options.method, options.body || '', options.signal, (status, body, retry, foreign) => resolve({
		status: status === 302 ? 0 : status,
		type: status === 302 ? 'opaqueredirect' : 'basic',
		headers: {
			get: (name) => (name === 'retry-after' && retry) || null,
			has: (name) => name === 'keepalive' && !foreign && status !== 302, // nothing can be read of a redirect
		},
		json: async () => JSON.parse(body),
	}), () => reject(new TypeError('network')));
});
