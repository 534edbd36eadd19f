// loader.js loads the module that draws the dialogs. Pages that never show a dialog do not load it.
// It is given what to do when the module has come.
// It never decides when to load, and never retries by itself: each tick with a dialog to show calls again.

import { endpoint, suffix } from './config.js';

/** @typedef {typeof import('./dialog.js')} Dialogs */

/** @type {Dialogs|undefined} */
let dialogs;
let isLoading = false;
let attempts = 0;

/** Returns the module that draws the dialogs, or undefined while it has not come. */
export const loadedDialogs = () => dialogs;

/**
 * Loads the module, unless it is there or on its way. Where that fails nothing happens, and it can be tried again: under
 * another name, as engines remember that a module could not be loaded (HTML standard, section 8.1.3.3, the module map).
 * @type {(onLoad: () => void) => Promise<void>}
 */
export const loadDialogs = async (onLoad) => {
	if (dialogs || isLoading) return;
	isLoading = true;
	try {
		// An Integrity-Policy forbids imports. The server puts a tag for the module into such a page, and it is there already.
		dialogs = Reflect.get(window, Symbol.for(endpoint('dialog'))) ?? (await import(endpoint(`dialog${attempts ? '.' + attempts : ''}${suffix}`)));
		onLoad();
	} catch {
		attempts++; // the browser says why in the console
	}
	isLoading = false;
};
