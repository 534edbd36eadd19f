// tab.js keeps what only this tab knows and wants: whether it takes part, when the user came back, what was asked for.
// It is given that by the modules that learn of it, and lets plan.js decide with it and with what all tabs share.
// It never touches the network, and shows nothing.

import { lastInput } from './activity.js';
import { config } from './config.js';
import { plan } from './plan.js';
import { readRecord } from './record.js';

const jitter = Math.random();
let stopped = false;
// The server sent the page without a session, so it waits until the app says that there is one.
let anonymous = config.anonymous;
// Until the page is known to come from the server, it asks like one that the user has just come back to.
let backAt = Date.now();
let stay = false;
let look = false;

/** Decides what to do, by all that is known now. */
export const decide = () =>
	plan(readRecord(), Date.now(), config, {
		hidden: document.hidden,
		offline: !navigator.onLine,
		woken: backAt,
		input: lastInput(),
		stay,
		look,
		rand: jitter,
	});

/** Reports whether this tab may ask anything. A prerendered page waits until somebody sees it. */
export const takesPart = () => !stopped && !anonymous && !document.prerendering;

export const stopTab = () => {
	stopped = true;
};

/** Starts again what was stopped or waited. */
export const startTab = () => {
	anonymous = stopped = false;
};

export const awaitSession = () => {
	anonymous = true;
};

/** Notes that the user or the network came back. */
export const noteReturn = () => {
	backAt = Date.now();
};

/** Notes that the page is as young as what it knows. */
export const forgetReturn = () => {
	backAt = 0;
};

export const wantsStay = () => stay;

/** @param {boolean} wanted whether the session is to be extended whatever the mode says */
export const setStay = (wanted) => {
	stay = wanted;
};

/** @param {boolean} wanted whether this tab wants an answer of its own */
export const setLook = (wanted) => {
	look = wanted;
};
