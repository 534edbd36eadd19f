// config.js reads what the server wrote into the script's tag.
// It is given the script element: its address and its data attributes. No other module reads either.
// It never touches the rest of the page, and it changes nothing.
//
//	<script src="/keepalive/keepalive.js" defer data-idle="1200000" data-warn="120000"></script>
//
//	data-idle       the idle timeout in ms; without it a minute is assumed
//	data-mode       "visible": only a visible page extends the session; "active": only real input does. Without it, any
//	                open page does
//	data-max        optional, in ms: without input for so long, the page no longer extends the session
//	data-warn       optional, in ms, at least 20,000: how long before the end the user is warned; shorter than data-idle
//	data-blank      optional: the page of an ended session loses its content
//	data-presence   optional: what the page reports of itself: "path" or "query", then "hash", then "idle", separated by
//	                spaces, or "idle" alone; keepalive.min.js reports nothing
//	data-anonymous  optional: the page was sent without a session, so nothing is asked until keepalive:check

import { MINUTE, SHORTEST_WARNING } from './times.js';

/**
 * @typedef {object} Config
 * @property {number} idle the idle timeout
 * @property {''|'visible'|'active'} mode when the page extends the session; '' is always
 * @property {number} max without input for so long, the page no longer extends the session; 0 for no limit
 * @property {number} warn how long before the end the user is warned; 0 for never
 * @property {boolean} blank whether the page of an ended session loses its content
 * @property {string} presence what the page reports, '' for nothing
 * @property {boolean} anonymous whether the page was sent without a session
 */

// It is null in a module or an inline script. The error in the console is then the right answer.
export const script = /** @type {HTMLScriptElement} */ (document.currentScript);
const data = script.dataset;

/** @type {Config} */
export const config = {
	idle: Number(data.idle) || MINUTE,
	mode: /** @type {Config['mode']} */ (data.mode || ''),
	max: Number(data.max) || 0,
	warn: data.warn ? Math.max(Number(data.warn), SHORTEST_WARNING) : 0,
	blank: 'blank' in data,
	presence: data.presence || '',
	anonymous: 'anonymous' in data,
};

// All endpoints lie beside the script.
const folder = new URL('.', script.src);

/** The path of the endpoints' folder, which tells the scripts of several Managers in one page apart. */
export const path = folder.pathname;

/**
 * The address of an endpoint.
 * @type {(name: string) => string}
 */
export const endpoint = (name) => folder.href + name;

export const pingURL = endpoint('ping');

/** Names what the pages of one server share: the record in localStorage, the lock, the guard in the window. */
export const sharedKey = 'keepalive:' + pingURL;
