// input.js adds the input that presses no key and moves no pointer, and what happens in the frames of a page.
// It is given the function that counts an event, which is always the same.
// It never decides what an event is worth, but for those that a script can make the browser send. It is part of dialog.min.js:
// pages that want no input do not load it.

import { page } from './dom.js';

/** @type {(event: Event) => void} */
let onInput;

/**
 * Counts an event. A script that clicks a checkbox or a radio button makes the browser send a real input event.
 * @param {Event} event
 */
const onEvent = (event) => {
	const target = /** @type {HTMLInputElement} */ (event.target);
	if (event.type !== 'input' || !/checkbox|radio/.test(target.type)) onInput(event);
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
 * @type {(root: Pick<DocumentOrShadowRoot, 'activeElement'>) => Window|null|undefined}
 */
const focusedFrame = ({ activeElement }) => {
	if (activeElement?.shadowRoot) return focusedFrame(activeElement.shadowRoot);
	return /** @type {HTMLIFrameElement|null} */ (activeElement)?.contentWindow;
};

const followFrames = () => {
	listenIn(window);
	listenIn(focusedFrame(page));
};

/**
 * Listens in the page and its frames: also in those that are new, went to another page or were written anew since.
 * @param {(event: Event) => void} listener
 */
export const followInput = (listener) => {
	onInput = listener;
	followFrames();
};
