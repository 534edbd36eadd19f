// activity.js knows when somebody last used this page, and tells the other tabs.
// It is given the events of the page, and a predicate that says when input does not count.
// It never decides what input is worth. No other module listens to input.

import { config } from './config.js';
import { updateRecord } from './record.js';
import { INPUT_INTERVAL } from './times.js';

// A page may have been opened by nobody.
let inputAt = config.mode === 'active' ? 0 : Date.now();
let sharedAt = 0;

export const lastInput = () => inputAt;

/**
 * Notes input, and reports whether the other tabs were told of it.
 * @type {(at: number) => boolean}
 */
export const noteInput = (at) => {
	inputAt = at;
	const isNews = at - sharedAt > INPUT_INTERVAL;
	if (isNews) {
		sharedAt = at;
		updateRecord({ input: at });
	}
	return isNews;
};

/**
 * Engines send pointermove also where the page has moved under a pointer that rests.
 * @param {Event} event
 */
const isResting = (event) => {
	const { type, movementX, movementY } = /** @type {PointerEvent} */ (event);
	return type === 'pointermove' && !movementX && !movementY;
};

/**
 * Listens to real input, where that means anything. Scrolling is none: pages scroll by themselves.
 * @type {(isIgnored: () => boolean, onInput: () => void) => void}
 */
export const listenForInput = (isIgnored, onInput) => {
	if (config.mode !== 'active' && !config.max && !config.presence.includes('idle')) return;
	/** @type {(event: Event) => void} */
	const listener = (event) => {
		// Scripts can send events too.
		if (!event.isTrusted || isResting(event) || isIgnored()) return;
		if (noteInput(Date.now())) onInput();
	};
	for (const type of ['pointerdown', 'pointermove', 'keydown', 'wheel']) addEventListener(type, listener, true);
};
