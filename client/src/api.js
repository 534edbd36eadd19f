// api.js is what a page can see of the script: window.keepalive and the events, as keepalive.d.ts describes them.
// It is given the functions behind the methods, and says in each event whose it is.
// It never decides anything. No other module dispatches events.

import { path, sharedKey } from './config.js';

/**
 * Dispatches an event on document, and reports whether no listener has cancelled it.
 * @template {keyof DocumentEventMap & `keepalive:${string}`} Name
 * @param {Name} name
 * @param {Omit<DocumentEventMap[Name]['detail'], 'path'>} [detail]
 */
export const dispatch = (name, detail) =>
	document.dispatchEvent(new CustomEvent(name, { detail: { ...detail, path }, bubbles: true, cancelable: true }));

// Under this name the script says that it runs in a window.
const guard = Symbol.for(sharedKey);

/** @typedef {(anonymous: boolean) => void} RunAgain is called instead when the script runs again in the same window */

/**
 * Leaves these in the window. The name keepalive may be taken, by the script of another Manager or by the app. An element
 * with this id is found there too, but not as a property of the window's own.
 * @type {(methods: Keepalive, runAgain: RunAgain) => void}
 */
export const publish = (methods, runAgain) => {
	Object.assign(window, { [guard]: runAgain });
	if (!window.hasOwnProperty('keepalive')) Object.assign(window, { keepalive: methods });
	else console.warn(`keepalive: window.keepalive exists already, so the script of ${path} leaves it alone`);
};

/**
 * Returns what the script has left in a window where it runs, and undefined elsewhere.
 * @type {(frame: Window) => RunAgain|undefined}
 */
export const runningIn = (frame) => Reflect.get(frame, guard);
