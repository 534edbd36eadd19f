// dialog.js draws one dialog at a time, with the time that is left in it.
// It is given what to show, by notice.js, and loads the document that holds the dialogs.
// It never decides what to show. It is a script of its own, so it imports no module that has state, and what it exports is a
// contract: after an update, a page with the script of before loads it.

import { followInput } from './input.js';
import { LAST_SPEECH, SECOND, SPEECH_INTERVAL } from './times.js';

/** @type {Document|undefined} one dialog for each id, in the page's language, ready to be shown */
let dialogs;
let isLoading = false;
/** @type {HTMLElement|undefined} the element in the page that holds the dialog, while one is open */
let host;
/** @type {HTMLDialogElement} */
let dialog;
/** @type {number} */
let lastSpeech;
let shown = '';

/** @import { Actions, View } from './notice.js' */

/** @type {(selector: string) => HTMLElement} */
const find = (selector) => /** @type {HTMLElement} */ (dialog.querySelector(selector));

/** Reports whether a dialog is open. */
export const isOpen = () => Boolean(host);

const closeDialog = () => {
	if (!host) return;
	dialog.close(); // gives the focus back
	host.remove();
	host = undefined;
};

/** @param {Actions} actions */
const connectButtons = (actions) => {
	dialog.onclick = ({ target }) => {
		const { name } = /** @type {HTMLButtonElement} */ (target);
		if (name === 'stay') actions.stay();
		if (name === 'close') closeDialog();
	};
	dialog.onsubmit = (event) => {
		if (!actions.dispatch('keepalive:logout')) event.preventDefault();
	};
	// Where one can stay, Escape means that. It does not close the dialog: the answer does.
	if (!dialog.querySelector('[name=stay]')) return;
	dialog.oncancel = (event) => {
		event.preventDefault();
		actions.stay();
	};
};

/** @type {(id: string, actions: Actions) => void} */
const openDialog = (id, actions) => {
	const template = /** @type {Document} */ (dialogs).getElementById(id);
	if (!template) return;
	dialog = /** @type {HTMLDialogElement} */ (document.importNode(template, true));
	connectButtons(actions);
	lastSpeech = Infinity;
	// In a shadow tree beside body neither the page's styles nor soft navigation reach it.
	host = document.createElement('keepalive-dialog');
	const root = host.attachShadow({ mode: 'open' });
	root.append(dialog);
	document.documentElement.append(host);
	dialog.showModal();
	// Not a style element, which policies forbid. An engine that lacks this shows the dialog without its looks.
	const sheet = new CSSStyleSheet();
	sheet.replaceSync(/** @type {Document} */ (dialogs).head.textContent);
	root.adoptedStyleSheets = [sheet];
};

/** @param {number} seconds */
const duration = (seconds) => {
	try {
		const parts = { minutes: Math.floor(seconds / 60), seconds: seconds % 60 };
		return new Intl.DurationFormat(dialog.lang, { style: 'long' }).format(parts);
	} catch {
		return seconds + ' s';
	}
};

/**
 * Shows in the open dialog how much time is left: each second for the eye, now and then for the ear.
 * @type {(ms: number, isOffline: boolean) => void}
 */
const showTimeLeft = (ms, isOffline) => {
	const seconds = Math.max(1, Math.ceil(ms / SECOND));
	const text = find('#text');
	find('time').textContent = duration(seconds);
	find('[part=offline]').hidden = !isOffline;
	const speech = ms > LAST_SPEECH ? Math.ceil(ms / SPEECH_INTERVAL) : 0;
	if (speech !== lastSpeech) find('[role=status]').textContent = text.textContent;
	lastSpeech = speech;
};

const folder = new URL('.', import.meta.url).href;

/** Loads the document of the dialogs. Where that fails, the next update tries again. */
const loadDocument = () => {
	if (isLoading) return;
	isLoading = true;
	const request = new XMLHttpRequest();
	request.open('GET', `${folder}dialog?${document.documentElement.lang}`);
	request.responseType = 'document'; // which Trusted Types allow
	request.onloadend = () => {
		isLoading = false;
		const page = request.responseXML;
		// A proxy's page, or one to sign in, has no mark.
		if (!page || !request.getResponseHeader('keepalive')) return;
		dialogs = page;
		latest();
	};
	request.send();
};

let latest = () => {};

/**
 * Draws what there is to show now, and takes the rest off the page.
 * @type {(view: View, actions: Actions) => void}
 */
export const update = (view, actions) => {
	if (actions.onInput) followInput(actions.onInput);
	latest = () => update(view, actions);
	if (!dialogs) return loadDocument();
	const { notice, end, failing } = view;
	if (notice !== shown) {
		closeDialog();
		shown = notice;
		if (notice) openDialog(notice, actions);
	}
	if (host && dialog.querySelector('time')) showTimeLeft(end - Date.now(), failing);
};

// For pages that may not import it, and have a tag for it instead.
Reflect.set(window, Symbol.for(folder + 'dialog'), { isOpen, update });
