// dialog.js draws one dialog at a time, with the time that is left in it.
// It is given the document that holds them, the id of the one to show, and what its buttons do.
// It never decides what to show. It is a script of its own, so it imports no module that has state, and what it exports is a
// contract: after an update, a page with the script of before loads it.

import { LAST_SPEECH, SECOND, SPEECH_INTERVAL } from './times.js';

/** @type {Document} one dialog for each id, in the page's language, ready to be shown */
let dialogs;
/** @type {HTMLElement|undefined} the element in the page that holds the dialog, while one is open */
let host;
/** @type {HTMLDialogElement} */
let dialog;
/** @type {number} */
let lastSpeech;

/** @type {(selector: string) => HTMLElement} */
const find = (selector) => /** @type {HTMLElement} */ (dialog.querySelector(selector));

export const isDialogOpen = () => Boolean(host);

/** @param {Document} page the document with the dialogs */
export const setDocument = (page) => {
	dialogs = page;
};

export const closeDialog = () => {
	if (!host) return;
	dialog.close(); // gives the focus back
	host.remove();
	host = undefined;
};

/** @type {(onStay: () => void, onSignOut: () => boolean) => void} */
const connectButtons = (onStay, onSignOut) => {
	dialog.onclick = ({ target }) => {
		const { name } = /** @type {HTMLButtonElement} */ (target);
		if (name === 'stay') onStay();
		if (name === 'close') closeDialog();
	};
	dialog.onsubmit = (event) => {
		if (!onSignOut()) event.preventDefault();
	};
	// Where one can stay, Escape means that. It does not close the dialog: the answer does.
	if (!dialog.querySelector('[name=stay]')) return;
	dialog.oncancel = (event) => {
		event.preventDefault();
		onStay();
	};
};

/**
 * Shows a dialog. onSignOut reports whether the form may be sent.
 * @type {(id: string, onStay: () => void, onSignOut: () => boolean) => void}
 */
export const openDialog = (id, onStay, onSignOut) => {
	const template = dialogs.getElementById(id);
	if (!template) return;
	dialog = /** @type {HTMLDialogElement} */ (document.importNode(template, true));
	connectButtons(onStay, onSignOut);
	lastSpeech = Infinity;
	// In a shadow tree beside body neither the page's styles nor soft navigation reach it.
	host = document.createElement('keepalive-dialog');
	const root = host.attachShadow({ mode: 'open' });
	root.append(dialog);
	document.documentElement.append(host);
	dialog.showModal();
	// Not a style element, which policies forbid. An engine that lacks this shows the dialog without its looks.
	const sheet = new CSSStyleSheet();
	sheet.replaceSync(dialogs.head.textContent);
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
export const showTimeLeft = (ms, isOffline) => {
	const seconds = Math.max(1, Math.ceil(ms / SECOND));
	const text = find('#text');
	find('time').textContent = duration(seconds);
	find('[part=offline]').hidden = !isOffline;
	const speech = ms > LAST_SPEECH ? Math.ceil(ms / SPEECH_INTERVAL) : 0;
	if (speech !== lastSpeech) find('[role=status]').textContent = text.textContent;
	lastSpeech = speech;
};

// For pages that may not import it, and have a tag for it instead.
Reflect.set(window, Symbol.for(import.meta.url), { setDocument, isDialogOpen, openDialog, closeDialog, showTimeLeft });
