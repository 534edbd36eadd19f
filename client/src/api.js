// api.js is what a page can see of the script: window.keepalive and the events, as keepalive.d.ts describes them.
// It is given the functions behind the methods, and says in each event whose it is.
// It never decides anything. No other module dispatches events.

import { path, sharedKey } from './config.js';

/**
 * Dispatches an event on document, and reports whether no listener has cancelled it.
 * @template {Exclude<keyof KeepaliveEventMap, 'keepalive:check'>} Name
 * @param {Name} name
 * @param {Omit<KeepaliveEventMap[Name]['detail'], 'path'>} [detail]
 */
export const dispatch = (name, detail) =>
	// No element of the page can hide this function.
	dispatchEvent.call(document, new CustomEvent(name, { detail: { ...detail, path }, bubbles: true, cancelable: true }));

let controller = new AbortController();

/** The signal that aborts at the session's end, and is another one after the next sign-in. */
export const currentSignal = () => controller.signal;

/** @param {boolean} ended whether the session has ended */
export const updateSignal = (ended) => {
	if (ended) controller.abort();
	else if (controller.signal.aborted) controller = new AbortController();
};

let toldState = '';

/**
 * Says that the state is another one, unless only the script's own plans have changed.
 * @param {KeepaliveState} state
 */
export const tellState = (state) => {
	const { gone, end, reason, failing, otherUser } = state;
	const text = [gone, end, reason, failing, otherUser].join();
	if (text !== toldState) dispatch('keepalive:state', state);
	toldState = text;
};

/**
 * Calls listener with this state, and with those that follow.
 * @type {(listener: (state: KeepaliveState) => void, state: KeepaliveState) => () => void}
 */
export const subscribe = (listener, state) => {
	/** @param {KeepaliveEventMap['keepalive:state']} event */
	const onState = ({ detail }) => {
		if (detail.path === path) listener(detail);
	};
	addEventListener('keepalive:state', onState);
	listener(state);
	return () => removeEventListener('keepalive:state', onState);
};

// Under this name the script says that it runs in a window.
export const guard = Symbol.for(sharedKey);

/** @typedef {(config: import('./config.js').Config) => void} RunAgain is called instead when the script runs again in the same window */

/**
 * Leaves these in the window. The name keepalive may be taken, by the script of another Manager or by the app. An element
 * with this id is found there too, but not as a property of the window's own.
 * @type {(methods: Keepalive, runAgain: RunAgain) => void}
 */
export const publish = (methods, runAgain) => {
	Reflect.set(window, guard, runAgain);
	if (!window.hasOwnProperty('keepalive')) Reflect.set(window, 'keepalive', methods);
};

/**
 * Returns what the script has left in this window if it runs here already.
 * @returns {RunAgain|undefined}
 */
export const runningHere = () => Reflect.get(window, guard);
