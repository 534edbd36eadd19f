// presence.js reports which page this tab is on, for package presence.
// It is given each tick, and says something when the page has changed or the last report is old.
// It never touches the session. It is in presence.min.js and keepalive.debug.js only.

import { config, endpoint, sharedKey } from './config.js';
import { PRESENCE_INTERVAL } from './times.js';

// The name goes with the tab over its pages, and not to a copy of the tab: a page takes it out of sessionStorage.
let tabName = '';
let reportedPage = '';
let reportedAt = 0;
let hasLeft = false;

/**
 * Sends a report that outlives the page. On plain HTTP with Referrer-Policy: no-referrer, a beacon of Firefox does not say
 * which origin it comes from, and the server refuses it. A fetch always does, but old engines end theirs with the page.
 * @type {(name: string, fields?: Record<string, string>) => void}
 */
const send = (name, fields) => {
	const body = new URLSearchParams({ tab: tabName, sent: String(Date.now()), ...fields });
	if ('keepalive' in Request.prototype) fetch(endpoint(name), { method: 'POST', body, keepalive: true }).catch(() => {});
	else navigator.sendBeacon(endpoint(name), body);
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

/** Reports the page, unless the server knows it. */
export const reportPage = () => {
	if (!config.presence || hasLeft) return;
	const page = location.pathname + (config.presence === 'query' ? location.search : '');
	const isRecent = Date.now() - reportedAt < Math.min(config.idle / 2, PRESENCE_INTERVAL);
	if (tabName && page === reportedPage && isRecent) return;
	tabName ||= takeTabName();
	reportedPage = page;
	reportedAt = Date.now();
	send('here', { page });
};

/** Makes the next tick report the page, whatever the server knows. */
export const forgetReport = () => {
	reportedAt = 0;
};

/**
 * Listens to the tab leaving the page, and to soft navigation. Where an engine does not tell of the latter, the next
 * minute does.
 * @param {() => void} tick
 */
export const watchPage = (tick) => {
	addEventListener('pageshow', () => {
		hasLeft = false;
	});
	addEventListener('pagehide', leave);
	addEventListener('popstate', tick);
	window.navigation?.addEventListener('currententrychange', tick);
};
