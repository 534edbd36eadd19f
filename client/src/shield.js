// shield.js keeps the page's scripts from what happens in a dialog or the bar. A focus trap would undo each click there.
// It is given what to do when a button is pressed, and on Escape.
// It never stops what the browser does by itself: focus, activation, links, forms.

import { isOurs, shownPart } from './host.js';

const TYPES =
	'pointerdown pointermove pointerup pointercancel mousedown mousemove mouseup click dblclick auxclick contextmenu ' +
	'touchstart touchmove touchend touchcancel wheel keydown keypress keyup focus blur focusin focusout';

/** @typedef {(name: string) => void} Press presses the button of this name */

/** Presses the button that Escape stands for: Stay, or else Close. @param {Press} press */
export const pressEscape = (press) => {
	const button = shownPart()?.querySelector('[name=stay],[name=close]');
	if (button) press(/** @type {HTMLButtonElement} */ (button).name);
};

let isEscaping = false;

/**
 * Returns the listener, which must be the same each time.
 * @type {(press: Press) => (event: Event) => void}
 */
export const createShield = (press) => (event) => {
	const { type, key, repeat } = /** @type {KeyboardEvent} */ (event);
	// Escape belongs to an open dialog wherever the focus is, until the key is released.
	if (key === 'Escape') {
		if (type === 'keydown' && !repeat) isEscaping = Boolean(shownPart()?.showModal);
		if (isEscaping) {
			event.stopImmediatePropagation();
			event.preventDefault();
			if (type === 'keydown') pressEscape(press);
			return;
		}
	}
	if (!isOurs(event)) return;
	event.stopImmediatePropagation();
	const button = /** @type {Element} */ (event.composedPath()[0]).closest?.('button');
	if (type === 'click' && button) press(button.name);
};

/** Listens first of all on the window, again each time, as document.open() takes listeners away. @type {(shield: (event: Event) => void) => void} */
export const listenBefore = (shield) => {
	for (const type of TYPES.split(' ')) addEventListener(type, shield, true);
};
