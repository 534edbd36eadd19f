// activity.js knows when somebody last used this page, and tells the other tabs.
// It is given the events of the page and of the frames in it, and a predicate that says when input does not count.
// It never decides what input is worth. No other module listens to input.

import { config } from './config.js';
import { page } from './dom.js';
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

/** @type {(() => void)|undefined} set where input means anything */
let countInput;

/** Counts as input now, as an app may know of some that no event shows. */
export const noteActive = () => countInput?.();

/**
 * Reports whether a trusted event may come without a user. Engines send pointermove also where the page has moved under a
 * pointer that rests, and input also where a script has clicked a checkbox or a radio button.
 * @param {Event} event
 */
const isDoubtful = (event) => {
	const { type, movementX, movementY } = /** @type {PointerEvent} */ (event);
	const target = /** @type {HTMLInputElement} */ (event.target);
	return (type === 'pointermove' && !movementX && !movementY) || (type === 'input' && /checkbox|radio/.test(target.type));
};

/** @param {Event} event */
const onEvent = (event) => {
	// Scripts can send events too.
	if (event.isTrusted && !isDoubtful(event)) noteActive();
};

// Dictation, input methods, menus and assistive technology press no keys.
const inputTypes = [
	'pointerdown',
	'pointermove',
	'touchmove',
	'click',
	'keydown',
	'wheel',
	'beforeinput',
	'input',
	'compositionupdate',
];

/**
 * Listens in a window and in the frames in it. The listeners are always the same functions, so that none is added twice.
 * Nothing is kept of a frame. One that runs the script itself notes the same input once more, which does no harm.
 * @param {Window|null|undefined} frame
 */
const listenIn = (frame) => {
	if (!frame) return;
	try {
		for (const type of inputTypes) frame.addEventListener(type, onEvent, { capture: true, passive: true });
		// Only the document hears that a frame has loaded. No element of the page can hide this function.
		addEventListener.call(frame.document, 'load', followFrames, true);
		// A page may have a variable named length.
		for (let i = 0; frame[i]; i++) listenIn(frame[i]);
	} catch {} // a frame of another origin
};

/**
 * Returns the window of the frame that has the focus. Windows do not list the frames in shadow trees.
 * @type {(root: DocumentOrShadowRoot) => Window|null|undefined}
 */
const focusedFrame = ({ activeElement }) => {
	if (activeElement?.shadowRoot) return focusedFrame(activeElement.shadowRoot);
	return /** @type {HTMLIFrameElement|null} */ (activeElement)?.contentWindow;
};

/** Listens in the frames that are new, went to another page or were written anew. */
export const followFrames = () => {
	if (!countInput) return;
	listenIn(window);
	listenIn(focusedFrame(page));
};

/**
 * Listens to real input, where that means anything. Scrolling is none: pages scroll by themselves.
 * @type {(isIgnored: () => boolean, onInput: () => void) => void}
 */
export const listenForInput = (isIgnored, onInput) => {
	const isPresence = __PRESENCE__ && config.presence.includes('idle');
	if (config.mode !== 'active' && !config.max && !isPresence) return;
	countInput = () => {
		if (!isIgnored() && noteInput(Date.now())) onInput();
	};
	followFrames();
};
