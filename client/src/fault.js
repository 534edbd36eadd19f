// fault.js says in the console why pings fail, where something else than the endpoints answers them.
// It is given the status of each such answer, and hears when the endpoint has answered.
// It never decides what becomes of the answer: ask.js does.

import { pingURL } from './config.js';

let reported = -1;

/**
 * Reports a fault once, until forgetFault. From 500 on it is an outage, which passes.
 * @type {(status: number) => void}
 */
export const reportFault = (status) => {
	if (status >= 500 || status === reported) return;
	reported = status;
	const cause = status === 404 ? 'nothing is mounted' : 'a proxy, sign-in page or CSRF check answers';
	console.warn(`keepalive: ${status || 'a redirect'}: ${cause} at ${pingURL}`);
};

export const forgetFault = () => {
	reported = -1;
};
