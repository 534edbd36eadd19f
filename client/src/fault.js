// fault.js says in the console why pings fail, where something else than the endpoints answers them, and why there is no global.
// It is given the status of the last such answer.
// It never decides what becomes of the answer: ask.js does.

/** @import { Core } from './extras.js' */

/** @type {number|undefined} */
let reported;

/**
 * Reports a fault, once for each status. From 500 on it is an outage, which passes.
 * @type {(core: Core, pingURL: string) => void}
 */
export const reportFault = ({ tab: { fault } }, pingURL) => {
	if (fault === undefined || fault >= 500 || fault === reported) return;
	reported = fault;
	console.warn(`keepalive: ${fault || 'a redirect'} from a proxy, sign-in page or CSRF check, or nothing is mounted at ${pingURL}`);
};

/**
 * Reports that another script has the global.
 * @param {Core} core
 */
export const reportName = ({ stay }) => {
	if (window.keepalive?.stay !== stay) console.warn('keepalive: window.keepalive is taken');
};
