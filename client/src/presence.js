// presence.js reports which page this tab is on, and how long ago it was used, for package presence.
// It is given each tick, and says something when the page has changed, the user has come back or the last report is old.
// It never touches the session. It is in presence.min.js and keepalive.debug.js only.

import { lastInput } from './activity.js';
import { config, endpoint, sharedKey } from './config.js';
import { fetch } from './dom.js';
import { readRecord } from './record.js';
import { BACK_AFTER, PRESENCE_INTERVAL } from './times.js';

// The name goes with the tab over its pages, and not to a copy of the tab: a page takes it out of sessionStorage.
let tabName = '';
let reportedPage = '';
let reportedAt = 0;
let reportedIdle = 0;
let hasLeft = false;
// What lastInput() says until somebody uses this page, and when the browser was used before that.
/** @type {number|undefined} */
let inputAtStart;
let inputBefore = 0;

/**
 * Sends a report that outlives the page. On plain HTTP with Referrer-Policy: no-referrer, a beacon of Firefox does not say
 * which origin it comes from, and the server refuses it. A fetch always does, but old engines end theirs with the page.
 * @type {(name: string, fields?: Record<string, string>) => void}
 */
const send = (name, fields) => {
	const body = new URLSearchParams({ tab: tabName, sent: String(Date.now()), ...fields });
	if ('keepalive' in Request.prototype) fetch(endpoint(name), { method: 'POST', body, keepalive: true }).catch(() => {});
	else navigator.sendBeacon?.(endpoint(name), body);
};

const takeTabName = () => {
	const newName = Math.random().toString(36).slice(2);
	try {
		const name = sessionStorage.getItem(sharedKey) || newName;
		sessionStorage.removeItem(sharedKey);
		return name;
	} catch {
		return newName;
	}
};

const leave = () => {
	hasLeft = true; // and more events may come
	if (!tabName) return;
	send('leave');
	try {
		sessionStorage.setItem(sharedKey, tabName);
	} catch {}
	tabName = '';
};

/** @type {(word: 'query'|'hash'|'idle') => boolean} */
const reports = (word) => String(config.presence).includes(word);

const pageToReport = () => {
	if (config.presence === 'idle') return '';
	return location.pathname + (reports('query') ? location.search : '') + (reports('hash') ? location.hash : '');
};

/**
 * How long ago the page was used, at least 1 ms; 0 where that is not to be reported. A page is not used by being loaded, as
 * some load themselves again and again.
 */
const idleTime = () => {
	if (!reports('idle')) return 0;
	const inputAt = lastInput() === inputAtStart ? inputBefore : lastInput();
	return Math.max(Date.now() - inputAt, 1);
};

/** Reports the page, unless the server knows it. */
export const reportPage = () => {
	if (!config.presence || hasLeft) return;
	const page = pageToReport();
	const idle = idleTime();
	const isRecent = Math.abs(Date.now() - reportedAt) < Math.min(config.idle / 2, PRESENCE_INTERVAL);
	const isBack = reportedIdle > BACK_AFTER && idle < reportedIdle;
	if (tabName && page === reportedPage && isRecent && !isBack) return;
	tabName ||= takeTabName();
	reportedPage = page;
	reportedAt = Date.now();
	reportedIdle = idle;
	send('here', { page, ...(idle && { idle: String(idle) }) });
};

/** Makes the next tick report the page, whatever the server knows. */
export const forgetReport = () => {
	reportedAt = 0;
};

const comeBack = () => {
	hasLeft = false;
};

/**
 * Listens to the tab leaving the page, and to soft navigation. Where an engine does not tell of the latter, the next
 * minute does.
 * @param {() => void} tick
 */
export const watchPage = (tick) => {
	if (inputAtStart === undefined) inputBefore = readRecord().input || Date.now();
	inputAtStart ??= lastInput();
	addEventListener('pageshow', comeBack);
	addEventListener('pagehide', leave);
	for (const type of ['popstate', 'hashchange']) addEventListener(type, tick);
	// Where an engine lacks it, an element of the page may have its name.
	if (window.hasOwnProperty('navigation')) window.navigation?.addEventListener('currententrychange', tick);
};
