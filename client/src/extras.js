// extras.js is what the script can do without in a page's first seconds: it reads the answers to the app's own requests, and
// explains in the console why pings fail.
// It is given what it needs of the script, as its parameters say.
// It never sends a request. It is a script of its own, so it imports no module that has state of the main script, and what it
// exports is a contract: after an update, a page with the script of before loads it.

import { reportFault, reportName } from './fault.js';
import { followRequests, noteVisit } from './servertiming.js';

/**
 * @typedef {object} Core what the script hands over, which is a contract between versions as well
 * @property {import('./config.js').Config} config
 * @property {import('./tab.js').tab} tab
 * @property {() => Partial<import('./record.js').SharedRecord>} read returns what the tabs share, unchecked
 * @property {(changes: Partial<import('./record.js').SharedRecord>) => void} update changes that
 * @property {() => void} stay
 * @property {() => void} tick decides again
 * @property {(reason: string) => void} halt stops for good
 */

/** @type {Core} */
let core;

/** The address of an endpoint. @param {string} name */
const endpoint = (name) => new URL(name, import.meta.url).href;

const pingURL = endpoint('ping');

/** @param {SecurityPolicyViolationEvent} event */
const onViolation = ({ blockedURI, disposition }) => {
	if (blockedURI === pingURL && disposition === 'enforce') core.halt('connect-src');
};

/**
 * Does what is to be done now. The script calls this at each tick.
 * @param {Core} newCore
 */
export const update = (newCore) => {
	if (!core) {
		followRequests(newCore);
		reportName(newCore);
	}
	core = newCore;
	addEventListener('securitypolicyviolation', onViolation); // again, as document.open() removes it
	noteVisit(core);
	reportFault(core, pingURL);
};

// For pages that may not import it.
Reflect.set(window, Symbol.for(endpoint('extras')), { update });
