// shield.js keeps the page's scripts from what happens in a dialog or the bar. A focus trap would undo each click there.
// It is given what to do when a button is pressed, and on Escape.
// It never stops what the browser does by itself: focus, activation, links, forms.

import { find, isOurs, shownPart } from './host.js';

const TYPES =
	'pointerdown pointermove pointerup mousedown mousemove mouseup click dblclick touchstart touchmove touchend wheel ' +
	'keydown keyup focus blur focusin focusout';

/** @type {(name: string) => void} presses the button of this name */
let press;
let isEscaping = false;

/** Presses the button that Escape stands for: Stay, or else Close. */
export const pressEscape = () => {
	const button = /** @type {HTMLButtonElement|undefined} */ (find('[name=stay],[name=close]'));
	if (button) press(button.name);
};

/** @param {Event} event */
const shield = (event) => {
	const { type, key, repeat } = /** @type {KeyboardEvent} */ (event);
	// Escape belongs to an open dialog wherever the focus is, until the key is released.
	const isDown = type === 'keydown';
	if (isDown && !repeat) isEscaping = Boolean(shownPart()?.showModal);
	const isEscape = key === 'Escape' && isEscaping;
	if (!isEscape && !isOurs(event)) return;
	event.stopImmediatePropagation();
	if (isEscape) event.preventDefault();
	if (isEscape && isDown) pressEscape();
	const button = /** @type {Element} */ (event.composedPath()[0]).closest?.('button');
	if (type === 'click' && button) press(button.name);
};

/**
 * Listens first of all on the window. To be called again, as document.open() takes listeners away.
 * @param {typeof press} onPress
 */
export const listenBefore = (onPress) => {
	press = onPress;
	for (const type of TYPES.split(' ')) addEventListener(type, shield, true);
};
