// loader.js loads what shows a dialog: the document with the dialogs, and the module that draws them, which it names.
// It is given the address of the document. Pages that never show a dialog load neither.
// It never decides when to load, and never retries by itself: each tick with a dialog to show calls again.

import { endpoint } from './config.js';

/** @typedef {typeof import('./dialog.js')} Dialogs */

/** @type {Dialogs|undefined} */
let dialogs;

/** Returns the module that draws the dialogs, which has the document then, or undefined while it has not come. */
export const loadedDialogs = () => dialogs;

/**
 * An Integrity-Policy forbids imports. The server puts a tag for the module into such a page, and it is there already.
 * @type {(url: string) => Dialogs|Promise<Dialogs>}
 */
const importDialogs = (url) => Reflect.get(window, Symbol.for(url)) ?? import(url);

/** @type {(page: Document|null) => Promise<void>} */
const takeDocument = async (page) => {
	// A proxy's page, or one to sign in, names no module.
	const name = page?.documentElement.dataset.script;
	if (!page || !name) return;
	try {
		const module = await importDialogs(endpoint(name));
		module.setDocument(page);
		dialogs = module;
	} catch {} // the browser says why in the console
};

/**
 * Loads the dialogs. Where that fails nothing happens, and it can be tried again.
 * @type {(url: string, onLoad: () => void) => void}
 */
export const loadDialogs = (url, onLoad) => {
	const request = new XMLHttpRequest();
	request.open('GET', url);
	request.responseType = 'document'; // which Trusted Types allow
	request.onload = async () => {
		await takeDocument(request.responseXML);
		if (dialogs) onLoad();
	};
	request.send();
};
