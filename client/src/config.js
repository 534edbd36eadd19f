// config.js reads what the server wrote into the script's tag.
// It is given the script element: its address and its data attributes. No other module reads either.
// It never touches the rest of the page.
//
//	<script src="/keepalive/keepalive.js" defer data-idle="1200000" data-warn="120000"></script>
//
//	data-idle       the idle timeout in ms; without it a minute is assumed
//	data-mode       "visible": only a visible page extends the session; "active": only real input does. Without it, any
//	                open page does
//	data-max        optional, in ms: without input for so long, the page no longer extends the session
//	data-warn       optional, in ms, at least 20,000: how long before the end the user is warned; shorter than data-idle
//	data-blank      optional, 1: the page of an ended session loses its content
//	data-user       optional: a stamp of whose session it is, empty for a guest
//	data-passive    optional: the page's load has not extended the session
//	data-presence   optional: what the page reports of itself: "path" or "query", then "hash", then "idle", separated by
//	                spaces, or "idle" alone; keepalive.min.js reports nothing
//	data-anonymous  optional: the page was sent without a session, so nothing is asked until keepalive:check

import { page } from './dom.js';
import { MINUTE } from './times.js';

/**
 * @typedef {object} Config the attributes as they are, but for the numbers
 * @property {number} idle the idle timeout
 * @property {'visible'|'active'} [mode] when the page extends the session; undefined is always
 * @property {number} max without input for so long, the page no longer extends the session; NaN for no limit
 * @property {number} warn how long before the end the user is warned; 0 for never
 * @property {string} [blank] the page of an ended session loses its content
 * @property {string} [user] a stamp of whose session it is, '' for a guest, undefined where the server does not tell
 * @property {string} [passive] there: the page's load has not extended the session
 * @property {string} [presence] what the page reports of itself
 * @property {string} [anonymous] there: the page was sent without a session
 */

// It is null in a module or an inline script. The error in the console is then the right answer.
export const script = /** @type {HTMLScriptElement} */ (page.currentScript);
const { dataset } = script;

/** @type {Config} */
export const config = {
	...dataset,
	idle: Number(dataset.idle) || MINUTE,
	max: Number(dataset.max),
	warn: Number(dataset.warn) || 0,
};

// The address as the server wrote it: a <base> of the page changes what script.src says.
const address = new URL(/** @type {string} */ (script.getAttribute('src')), 'http://host' + location.pathname);

/**
 * The path of the endpoints' folder, which tells the scripts of several Managers in one page apart. All endpoints lie
 * beside the script, on the page's own origin.
 */
export const path = new URL('.', address).pathname;

/** What follows the script's name in its address, and is the same for the module that it loads. */
export const suffix = address.pathname.slice(path.length + 'keepalive'.length);

/**
 * The address of an endpoint.
 * @type {(name: string) => string}
 */
export const endpoint = (name) => origin + path + name;

export const pingURL = endpoint('ping');

/** Names what the pages of one server share: the record in localStorage, the lock, the guard in the window. */
export const sharedKey = 'keepalive:' + pingURL;
