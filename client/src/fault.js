// fault.js says in the console why pings fail, where something else than the endpoints answers them.
// It is given the status of each such answer, and hears when the endpoint has answered.
// It never decides what becomes of the answer: ask.js does.

import { pingURL } from './config.js';

let reported = '';

/** @type {(status: number) => string} */
const describe = (status) => {
	if (status === 404) return `404: no endpoints are mounted at ${pingURL}`;
	return `${status || 'a redirect'}: something in front of the endpoints answers, such as a proxy, a sign-in page or CSRF middleware`;
};

/**
 * Reports a fault once, until forgetFault. From 500 on it is an outage, which passes.
 * @type {(status: number) => void}
 */
export const reportFault = (status) => {
	const fault = describe(status);
	if (status >= 500 || fault === reported) return;
	reported = fault;
	console.warn('keepalive: pings are answered', fault);
};

export const forgetFault = () => {
	reported = '';
};
