// A page as the script finds it, on top of host, which is the fake browser, and page, which says how it was opened.
globalThis.window = globalThis;
const above = {};
const listeners = (all, up) => {
	return {
		addEventListener: (type, f) => { (all[type] = all[type] || []).push(f); },
		dispatchEvent: (event) => {
			host.event(event.type, JSON.stringify(event.detail));
			for (const f of all[event.type] || []) f(event);
			for (const f of up[event.type] || []) f(event); // all of a document's events bubble, but those that only it hears
			return page.dialogs;
		},
	};
};
Object.assign(globalThis, listeners(above, {}));
globalThis.document = Object.assign(listeners({}, above), {
	currentScript: {src: 'https://example.org/keepalive/keepalive.js?v=abc', dataset: page.dataset, remove() {}},
	documentElement: {lang: 'en'},
	hidden: page.hidden, prerendering: page.prerendering,
});
globalThis.CustomEvent = class { constructor(type, init) { Object.assign(this, init, {type}); } };
globalThis.URL = class {
	constructor(to, base) {
		if (to !== '.') throw new Error('odd URL ' + to);
		this.href = base.split('?')[0].replace(/[^/]*$/, '');
		this.pathname = this.href.replace(/^https:..[^/]*/, '');
	}
};
globalThis.AbortSignal = {timeout: (ms) => ms};
globalThis.console = {error: (...words) => host.error(words.join(' ')), warn: (...words) => host.warn(words.join(' ')), debug: host.debug};
globalThis.performance = {now: () => 300, getEntriesByType: () => [{type: page.kind, transferSize: page.cached ? 0 : 900, deliveryType: '', workerStart: 0, requestStart: 50}]};
globalThis.localStorage = {getItem: host.getItem, setItem: host.setItem};
globalThis.setTimeout = host.setTimeout;
globalThis.clearTimeout = host.clearTimeout;
globalThis.frameElement = null;
globalThis.XMLHttpRequest = class {
	open(method, url) { this.url = url; }
	send() {
		host.load(this.url, (script) => {
			this.responseXML = {documentElement: {dataset: {script}}};
			this.onload();
		});
	}
};
// Stands for the module dialog.js, and says what it was to show: only real browsers can.
let openDialog = '';
const dialogModule = {
	setDocument: (page) => { dialogModule.page = page; },
	openDialog: (id) => {
		if (!dialogModule.page) throw new Error('no document');
		openDialog = id;
		host.dialog(id);
	},
	closeDialog: () => { openDialog = ''; },
	isDialogOpen: () => openDialog !== '',
	showTimeLeft: () => {},
};
globalThis.importModule = (url) => new Promise((resolve, reject) => host.import(url, () => resolve(dialogModule), () => reject(new TypeError('import'))));
globalThis.navigator = {onLine: true, sendBeacon: (url, body) => host.report('beacon', url, JSON.stringify(body.fields))};
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
