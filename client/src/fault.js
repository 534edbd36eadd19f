// fault.js says in the console why pings fail, where something else than the endpoints answers them.
// It is given the status of each such answer.
// It never decides what becomes of the answer: ask.js does.

import { pingURL } from './config.js';

let reported = -1;

/**
 * Reports a fault, once for each status. From 500 on it is an outage, which passes.
 * @param {number} status 0 for a redirect
 */
export const reportFault = (status) => {
	if (status >= 500 || status === reported) return;
	reported = status;
	console.warn(`keepalive: ${status || 'a redirect'} from a proxy, sign-in page or CSRF check, or nothing is mounted at ${pingURL}`);
};
