// loader.js loads the modules that pages need later, or never: the dialogs and the extras.
// It is given what to do when a module has come.
// It never decides when to load, and never retries by itself: each tick with a dialog to show calls again.

import { endpoint, suffix } from './config.js';

/**
 * @typedef {typeof import('./dialog.js')} Dialogs
 * @typedef {typeof import('./extras.js')} Extras
 */

/**
 * Imports a module. An Integrity-Policy forbids that: the server puts tags for the modules into such a page, and what they
 * leave is there already.
 * @type {(name: string) => Promise<any>}
 */
const load = async (name) => Reflect.get(window, Symbol.for(endpoint(name))) ?? import(endpoint(name + suffix));

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
		dialogs = await load(attempts ? 'dialog.' + attempts : 'dialog');
		onLoad();
	} catch {
		attempts++; // the browser says why in the console
	}
	isLoading = false;
};

/** @type {Promise<Extras>|undefined} */
let extras;

/**
 * Hands the script's state to the extras, when they have come. Where they can't be loaded the script goes on without them.
 * That is tried once, or a policy that forbids it would fill the console.
 * @param {import('./extras.js').Core} core
 */
export const updateExtras = async (core) => {
	try {
		extras ??= load('extras');
		(await extras).update(core);
	} catch {}
};
