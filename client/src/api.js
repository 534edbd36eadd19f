// api.js is what a page can see of the script: window.keepalive and the events, as keepalive.d.ts describes them.
// It is given the functions behind the methods.
// It never decides anything. No other module dispatches events.

import { sharedKey } from './config.js';

/**
 * Dispatches an event on document, and reports whether no listener has cancelled it.
 * @template {keyof DocumentEventMap & `keepalive:${string}`} Name
 * @param {Name} name
 * @param {DocumentEventMap[Name]['detail']} detail
 */
export const dispatch = (name, detail) =>
	document.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, cancelable: true }));

// Under this name the script says that it runs in a window.
const guard = Symbol.for(sharedKey);

/** @typedef {(anonymous: boolean) => void} RunAgain is called instead when the script runs again in the same window */

/** @type {(methods: Keepalive, runAgain: RunAgain) => void} */
export const publish = (methods, runAgain) => {
	Object.assign(window, { keepalive: methods, [guard]: runAgain });
};

/**
 * Returns what the script has left in a window where it runs, and undefined elsewhere.
 * @type {(frame: Window) => RunAgain|undefined}
 */
export const runningIn = (frame) => Reflect.get(frame, guard);
