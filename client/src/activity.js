// activity.js knows when somebody last used this page, and tells the other tabs.
// It is given the events of the page, and a predicate that says when input does not count.
// It never decides what input is worth. What presses no key and moves no pointer, and what happens in frames, input.js adds.

import { config } from './config.js';
import { updateRecord } from './record.js';
import { INPUT_INTERVAL } from './times.js';

/** Whether input means anything. */
export const isInputWanted =
	config.mode === 'active' || config.max > 0 || (__PRESENCE__ && String(config.presence).includes('idle'));

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
	const isNews = Math.abs(at - sharedAt) > INPUT_INTERVAL;
	if (isNews) {
		sharedAt = at;
		updateRecord({ input: at });
	}
	return isNews;
};

/** @type {() => void} */
let countInput = () => {};

/** Counts as input now, as an app may know of some that no event shows. */
export const noteActive = () => countInput();

/**
 * Counts an event, unless a script sent it. Engines send pointermove also where the page has moved under a pointer that rests.
 * @param {Event} event
 */
export const onInput = (event) => {
	const { type, isTrusted, movementX, movementY } = /** @type {PointerEvent} */ (event);
	if (isTrusted && (type !== 'pointermove' || movementX || movementY)) noteActive();
};

/**
 * Listens to real input, where that means anything. Scrolling is none: pages scroll by themselves.
 * @type {(isIgnored: () => boolean, tick: () => void) => void}
 */
export const listenForInput = (isIgnored, tick) => {
	if (!isInputWanted) return;
	countInput = () => !isIgnored() && noteInput(Date.now()) && tick();
	for (const type of ['pointerdown', 'pointermove', 'keydown', 'wheel']) addEventListener(type, onInput, true);
};
